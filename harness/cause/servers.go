package cause

// anyHandler is what a server needs that is not known by name.
const anyHandler = "Handle SIGTERM: stop accepting connections, finish the requests in flight, then exit."

// anyIdle is how clients learn that a connection ends, for any server of HTTP/1.1.
const anyIdle = "After SIGTERM go on serving for about 10 s, with \"Connection: close\" in every response, so that each client leaves " +
	"after its next request. Close what is still idle only then."

const anyKept = "After SIGTERM send \"Connection: close\" with every response, close idle connections after some seconds, and end streams: " +
	"clients that keep connections for good never leave by themselves."

// netHTTP is Go's own server, of programs that are not known to use another.
var netHTTP = server{
	Name:    "Go net/http",
	handler: "Wait for signal.NotifyContext(ctx, syscall.SIGTERM), then call srv.Shutdown, and end main only when it has returned: ListenAndServe returns before that.",
	idle: "srv.Shutdown and srv.SetKeepAlivesEnabled(false) close idle connections at once. After SIGTERM set \"Connection: close\" in every " +
		"response first, by a handler around the others, go on for about 10 s, and call srv.Shutdown then.",
	kept:  "srv.Shutdown does not wait for idle connections, but for requests and streams: end these with srv.RegisterOnShutdown, and bound Shutdown by its context.",
	limit: "the context that srv.Shutdown is given",
}

// servers are the servers that are recognised. Their texts are from their own manuals.
var servers = []server{
	{
		Name: "fasthttp", words: []string{"github.com/gofiber/fiber", "github.com/valyala/fasthttp", "fiber"}, products: []string{"fasthttp", "fiber"},
		handler: "Call Server.ShutdownWithContext (fiber: app.ShutdownWithTimeout) on SIGTERM, and end main only when it has returned.",
		idle:    "Set Server.CloseOnShutdown, and wait about 10 s after SIGTERM before Shutdown, with \"Connection: close\" in every response.",
		kept:    "Shutdown waits for kept connections: set Server.IdleTimeout and ReadTimeout, Server.CloseOnShutdown, and bound it by ShutdownWithContext.",
		limit:   "the context of ShutdownWithContext",
	},
	{
		Name: "Caddy", words: []string{"github.com/caddyserver/caddy", "caddy"}, products: []string{"caddy"},
		handler: "Caddy stops gracefully on SIGTERM; the global option grace_period bounds how long.",
		wait:    "Set the global option shutdown_delay 10s: Caddy then goes on serving for that long.",
		limit:   "the global option grace_period",
	},
	{
		Name: "Traefik", words: []string{"github.com/traefik/traefik", "traefik"},
		handler: "Traefik stops gracefully on SIGTERM; transport.lifeCycle.graceTimeOut of the entry point bounds how long.",
		wait:    "Set transport.lifeCycle.requestAcceptGraceTimeout to 10s for the entry point: it then goes on serving for that long.",
		limit:   "transport.lifeCycle.graceTimeOut of the entry point",
	},
	{
		Name: "nginx", words: []string{"nginx", "openresty", "tengine"}, products: []string{"nginx", "openresty", "tengine"},
		graceful: "SIGQUIT", quit: "nginx -s quit",
		handler: "nginx ends at once on SIGTERM, and gracefully on SIGQUIT: STOPSIGNAL SIGQUIT in the Dockerfile, as the official image has it.",
		idle:    "Set keepalive_min_timeout 10s (since 1.27.4): idle connections then live on for that long, and the next response on each announces the close. Older versions close them at once.",
		kept:    "Set worker_shutdown_timeout: it bounds how long workers wait for connections.",
		limit:   "worker_shutdown_timeout",
	},
	{
		Name: "Apache httpd", words: []string{"apache", "apachectl", "httpd", "apache2-foreground"}, products: []string{"apache"},
		graceful: "SIGWINCH", quit: "apachectl -k graceful-stop",
		handler: "httpd ends at once on SIGTERM, and gracefully on SIGWINCH: STOPSIGNAL SIGWINCH in the Dockerfile, as the official image has it. GracefulShutdownTimeout bounds how long.",
		idle:    "A graceful stop closes idle connections at once. With KeepAlive Off there are none; otherwise clients must retry.",
		limit:   "GracefulShutdownTimeout",
	},
	{
		Name: "HAProxy", words: []string{"haproxy"},
		graceful: "SIGUSR1", quit: "kill -USR1 1",
		handler: "HAProxy ends at once on SIGTERM, and gracefully on SIGUSR1: STOPSIGNAL SIGUSR1 in the Dockerfile, as the official image has it.",
		idle:    "Set option idle-close-on-response (since 2.4): idle connections then live on until their next response, which announces the close. hard-stop-after bounds it.",
		wait:    "Set grace 10s in the section global: it then goes on accepting for that long.",
		kept:    "Set hard-stop-after in the section global.",
		limit:   "hard-stop-after",
	},
	{
		Name: "Envoy", words: []string{"envoy"}, products: []string{"envoy"},
		handler: "Envoy ends at once on SIGTERM. Before that, have a preStop hook POST /healthcheck/fail and /drain_listeners?graceful to the admin port, and sleep for as long as --drain-time-s.",
		idle:    "After /drain_listeners?graceful, Envoy announces the close with its responses; leave it as much time as --drain-time-s.",
		limit:   "--drain-time-s",
	},
	{
		Name: "Varnish", words: []string{"varnish", "varnishd"}, products: []string{"varnish"},
		handler: "varnishd has no graceful stop: on SIGTERM it ends at once. Let the preStop hook sleep for as long as the longest request takes.",
		idle:    "varnishd can't announce the close: lower timeout_idle, so that few connections are idle, and have clients retry.",
	},
	{
		Name: "gunicorn", words: []string{"gunicorn"}, products: []string{"gunicorn"},
		handler: "gunicorn stops gracefully on SIGTERM (QUIT and INT end it at once), within --graceful-timeout, 30 s by default.",
		idle:    "Workers close idle connections when they stop. With --keep-alive 0, or sync workers, there are none; otherwise clients must retry.",
		kept:    "Lower --graceful-timeout below the pod's grace period: workers are then ended by gunicorn itself.",
		limit:   "--graceful-timeout",
	},
	{
		Name: "uWSGI", words: []string{"uwsgi"}, products: []string{"uwsgi"}, reloads: true,
		handler: "uWSGI reloads on SIGTERM, and does not end. Set hook-master-start = unix_signal:15 gracefully_kill_them_all. (die-on-term ends it at once.)",
		limit:   "worker-reload-mercy",
	},
	{
		Name: "uvicorn", words: []string{"uvicorn", "fastapi"}, products: []string{"uvicorn"},
		handler: "uvicorn stops gracefully on SIGTERM, and waits for requests and streams, for at most --timeout-graceful-shutdown.",
		idle:    "uvicorn closes idle connections at once when it stops. Have a middleware send \"Connection: close\" while the preStop hook runs, or have clients retry.",
		kept:    "Set --timeout-graceful-shutdown: without it uvicorn waits for requests and streams for good.",
		limit:   "--timeout-graceful-shutdown",
	},
	{
		Name: "Hypercorn", words: []string{"hypercorn"}, products: []string{"hypercorn-h11", "hypercorn-h2", "hypercorn"},
		handler: "Hypercorn stops gracefully on SIGTERM, within --graceful-timeout, 3 s by default.", limit: "--graceful-timeout",
	},
	{
		Name: "Puma", words: []string{"puma", "pumactl"}, products: []string{"puma"},
		handler: "Puma stops gracefully on SIGTERM. It exits with another code than 0 unless raise_exception_on_sigterm false is set.",
		idle:    "Puma closes idle connections when it stops: set drain_on_shutdown for those in its queue; clients must retry the others.",
		kept:    "Set force_shutdown_after: it bounds how long threads may go on.", limit: "force_shutdown_after",
	},
	{
		Name: "Unicorn", words: []string{"unicorn"}, graceful: "SIGQUIT", quit: "kill -QUIT 1",
		handler: "Unicorn ends at once on SIGTERM, and gracefully on SIGQUIT: STOPSIGNAL SIGQUIT in the Dockerfile.",
	},
	{
		Name: "PHP-FPM", words: []string{"php-fpm"}, graceful: "SIGQUIT", quit: "kill -QUIT 1",
		handler: "PHP-FPM ends at once on SIGTERM, and gracefully on SIGQUIT: STOPSIGNAL SIGQUIT in the Dockerfile, and process_control_timeout = 20s.", limit: "process_control_timeout",
	},
	{
		Name: "lighttpd", words: []string{"lighttpd"}, products: []string{"lighttpd"}, graceful: "SIGINT", quit: "kill -INT 1",
		handler: "lighttpd ends at once on SIGTERM, and gracefully on SIGINT: STOPSIGNAL SIGINT in the Dockerfile.", limit: "server.graceful-shutdown-timeout",
	},
	{
		Name: "Undertow", words: []string{"undertow"}, products: []string{"undertow"}, ends143: true,
		handler: "In Spring Boot set server.shutdown=graceful (the default since 3.4) and spring.lifecycle.timeout-per-shutdown-phase.",
		errors:  "While it stops gracefully, Undertow answers 503 to new requests, where Tomcat, Jetty and Netty stop accepting. Let the preStop hook sleep first, so that no request comes any more.",
		limit:   "spring.lifecycle.timeout-per-shutdown-phase",
	},
	{
		Name: "Jetty", words: []string{"jetty"}, products: []string{"jetty"}, ends143: true,
		handler: "In Spring Boot set server.shutdown=graceful (the default since 3.4). In Jetty itself: a GracefulHandler (before 12: StatisticsHandler) and server.setStopTimeout.",
		limit:   "spring.lifecycle.timeout-per-shutdown-phase, or server.setStopTimeout",
	},
	{
		Name: "Spring Boot or Tomcat", words: []string{"tomcat", "catalina", "spring", "springboot", "catalina.sh"}, products: []string{"apache-coyote", "tomcat"}, ends143: true,
		handler: "In Spring Boot set server.shutdown=graceful (the default since 3.4) and spring.lifecycle.timeout-per-shutdown-phase. Tomcat by itself stops its connectors on SIGTERM; unloadDelay of the Context is how long it waits for requests.",
		idle:    "Connectors close idle connections when they stop. Have a filter send \"Connection: close\" while the preStop hook runs, or have clients retry.",
		limit:   "spring.lifecycle.timeout-per-shutdown-phase, or unloadDelay",
	},
	{
		Name: "ASP.NET Core Kestrel", words: []string{"dotnet", "kestrel", "aspnet"}, products: []string{"kestrel", "asp.net"},
		handler: "Kestrel stops gracefully on SIGTERM, within HostOptions.ShutdownTimeout (30 s by default).",
		wait:    "In IHostApplicationLifetime.ApplicationStopping wait 10 s: Kestrel goes on serving for that long.", limit: "HostOptions.ShutdownTimeout",
	},
	{
		Name: "aiohttp", words: []string{"aiohttp"}, handler: "web.run_app stops gracefully on SIGTERM; its shutdown_timeout bounds how long.", limit: "shutdown_timeout of web.run_app",
	},
	{
		Name: "a development server of Python", words: []string{"http.server", "flask", "werkzeug", "runserver"}, products: []string{"werkzeug", "simplehttp", "basehttp", "wsgiserver"},
		handler: "This server has no graceful stop: serve the application by gunicorn or uvicorn.",
	},
	{
		Name: "Node.js", words: []string{"node", "nodejs", "npm", "yarn", "express", "next", "nest"}, products: []string{"express", "next.js"},
		handler: "process.on('SIGTERM', () => server.close(() => process.exit(0))). A process with PID 1 ignores SIGTERM without such a handler.",
		idle:    "server.close closes idle connections at once (since Node 19). After SIGTERM set res.setHeader('Connection', 'close') on every response first, go on for about 10 s, and call server.close then.",
		kept:    "server.close waits for every connection that is kept: after SIGTERM set res.setHeader('Connection', 'close'), call server.closeIdleConnections after some seconds, and server.closeAllConnections before the grace period ends.",
		limit:   "your own timer around server.close", weak: true,
	},
	{
		Name: "Java", words: []string{"java", "jre", "jdk", "openjdk", "temurin"}, ends143: true, weak: true,
		handler: "In Spring Boot set server.shutdown=graceful (the default since 3.4); in Quarkus quarkus.shutdown.timeout; in others stop the server in a shutdown hook (Runtime.addShutdownHook).",
	},
	{
		Name: "Python", words: []string{"python"}, weak: true,
		handler: "Stop the server in a handler of signal.SIGTERM, or serve by gunicorn or uvicorn. A process with PID 1 ignores SIGTERM without a handler.",
	},
	{
		Name: "Ruby", words: []string{"ruby", "rails", "bundle"}, weak: true,
		handler: "Serve by Puma, which stops gracefully on SIGTERM.",
	},
	{
		Name: "PHP", words: []string{"php"}, products: []string{"php"}, weak: true,
		handler: "PHP's own server has no graceful stop: serve by PHP-FPM, or Apache.",
	},
}
