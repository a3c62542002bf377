package zoo

import (
	"slices"

	"kubernaut.io/dynamic-toolset/harness/verdict"
)

// killed is what checks say of pods that outlast their grace period.
var killed = []string{verdict.GraceID}

func debianServers() []Server {
	return []Server{gunicorn(), uvicorn(), node(), puma(), tomcat(), nginx(), apache(), haproxy(), varnish(), uwsgi()}
}

func gunicorn() Server {
	command := func(more ...string) []string {
		return append([]string{"/usr/bin/python3", "/usr/bin/gunicorn", "--chdir", "/app", "-b", "0.0.0.0:8000", "-w", "2"}, append(more, "hello:app")...)
	}
	return Server{
		Name: "gunicorn", About: "gunicorn", Source: "https://docs.gunicorn.org/en/stable/#quickstart",
		Issues: []Issue{
			{"benoitc/gunicorn#2529", "requests that wait in the accept queue are reset by a graceful shutdown"},
			{"benoitc/gunicorn#3397", "the same in Kubernetes: the queue should be drained before the workers end"},
		},
		Debian: []string{"gunicorn"}, Port: 8000, Path: "/",
		Variants: []Variant{
			{Name: "plain", About: "the quick start: sync workers, which close each connection", Command: command(), Short: true, Expect: Expectation{
				Lost: Anybody, Ways: []Way{Unreached, Unread}, Why: "workers end with connections in the accept queue, and then the listener is closed",
			}},
			{Name: "preStop", About: "behind a preStop sleep", Command: command(), PreStop: preStopSleep, Short: true, Good: true, Expect: Expectation{
				Lost: Nobody, Why: "no connection is kept, and at SIGTERM no new one arrives any more",
			}},
			{Name: "threads-preStop", About: "gthread workers, which keep connections for 2 s, behind a preStop sleep", Command: command("--threads", "4"), PreStop: preStopSleep, Expect: closesIdleAfterSleep},
		},
	}
}

func uvicorn() Server {
	command := func(app string) []string {
		return []string{"/usr/bin/python3", "/usr/bin/uvicorn", "--app-dir", "/app", "--host", "0.0.0.0", app + ":app"}
	}
	return Server{
		Name: "uvicorn", About: "uvicorn", Source: "https://www.uvicorn.org/#quickstart",
		Issues: []Issue{{"Kludex/uvicorn#2414", "shutdown should be delayed while load balancers still send requests"}},
		Debian: []string{"uvicorn"}, Port: 8000, Path: "/",
		Variants: []Variant{
			{Name: "plain", About: "the quick start, which handles SIGTERM", Command: command("example"), Expect: closesListenerAtOnce},
			{Name: "preStop", About: "behind a preStop sleep", Command: command("example"), PreStop: preStopSleep, Expect: closesIdleAfterSleep},
			{
				Name: "advised", About: "our advice, by a preStop hook that asks the application", Command: command("advised"), Ready: "/ready",
				PreStop: `{"httpGet": {"path": "/drain", "port": 8000}}`, Good: true, Short: true, Expect: losesNothing,
			},
		},
	}
}

func node() Server {
	command := func(file string) []string { return []string{"/usr/bin/node", "/app/" + file} }
	ignores := Expectation{
		Lost: Blind, Race: race, Fails: killed, MayFail: exitCode,
		Why: "as process 1 without a handler it never gets SIGTERM: it serves its kept connections until it is killed",
	}
	// Before version 19, server.close() waits for kept connections instead of closing idle
	// ones, and those of busy clients last until it is killed.
	graceful, slept := closesListenerAtOnce, closesIdleAfterSleep
	graceful.MayFail, slept.MayFail = slices.Concat(killed, exitCode), slices.Concat(killed, exitCode)
	return Server{
		Name: "node", About: "Node's http", Source: "https://nodejs.org/api/http.html#serverclosecallback",
		Issues: []Issue{{"nodejs/node#60617", "server.close() closes idle connections at once, and so loses requests that are on their way"}},
		Debian: []string{"nodejs"}, Port: 3000, Path: "/",
		Variants: []Variant{
			{Name: "plain", About: "the example, as process 1", Command: command("server.js"), Grace: 10, Short: true, Expect: ignores},
			{Name: "preStop", About: "behind a preStop sleep", Command: command("server.js"), PreStop: preStopSleep, Grace: 10, Expect: ignores},
			{Name: "graceful", About: "with server.close(), as Express documents", Command: command("graceful.js"), Expect: graceful},
			{Name: "graceful-preStop", About: "the same behind a preStop sleep", Command: command("graceful.js"), PreStop: preStopSleep, Expect: slept},
			{Name: "advised", About: "our advice", Command: command("advised.js"), Ready: "/ready", Good: true, Short: true, Expect: losesNothing},
		},
	}
}

func puma() Server {
	command := func(more ...string) []string {
		return append([]string{"/usr/bin/ruby", "/usr/bin/puma", "-b", "tcp://0.0.0.0:9292"}, append(more, "/app/config.ru")...)
	}
	// It raises SIGTERM once more at its end, which says so in the exit code.
	graceful, slept := closesListenerAtOnce, closesIdleAfterSleep
	graceful.MayFail, slept.MayFail = exitCode, exitCode
	return Server{
		Name: "puma", About: "Puma", Source: "https://puma.io/puma/file.signals.html",
		Debian: []string{"puma"}, Port: 9292, Path: "/",
		Variants: []Variant{
			{Name: "plain", About: "as it is, which handles SIGTERM", Command: command(), Expect: graceful},
			{Name: "preStop", About: "behind a preStop sleep", Command: command(), PreStop: preStopSleep, Expect: slept},
			{Name: "drain", About: "as documented: drain_on_shutdown", Command: command("-C", "/app/drain.rb"), Expect: graceful},
		},
	}
}

func tomcat() Server {
	command := []string{
		"/usr/lib/jvm/java-17-openjdk-amd64/bin/java", "-Xmx128m", "-Dcatalina.home=/usr/share/tomcat10", "-Dcatalina.base=/app", "-Djava.io.tmpdir=/tmp",
		"-cp", "/usr/share/tomcat10/bin/bootstrap.jar:/usr/share/tomcat10/bin/tomcat-juli.jar", "org.apache.catalina.startup.Bootstrap", "start",
	}
	// A Java process that SIGTERM ends exits with 143.
	graceful, slept := closesListenerAtOnce, closesIdleAfterSleep
	graceful.Fails, slept.Fails = exitCode, exitCode
	return Server{
		Name: "tomcat", About: "Tomcat 10", Source: "https://tomcat.apache.org/tomcat-10.1-doc/config/http.html",
		Issues: []Issue{
			{"spring-projects/spring-boot#24479", "a graceful shutdown of Tomcat refuses requests that load balancers still send"},
			{"spring-projects/spring-boot#40108", "Tomcat refuses new connections and requests on idle ones: the documentation should say so"},
		},
		Debian: []string{"tomcat10"}, Port: 8080, Path: "/",
		Variants: []Variant{
			{Name: "plain", About: "as it is", Command: command, Expect: graceful},
			{Name: "preStop", About: "behind a preStop sleep", Command: command, PreStop: preStopSleep, Expect: slept},
		},
	}
}

func nginx() Server {
	command := []string{"/usr/sbin/nginx", "-c", "/app/nginx.conf", "-g", "daemon off; user root root;"}
	return Server{
		Name: "nginx", About: "nginx", Source: "https://nginx.org/en/docs/control.html",
		Debian: []string{"nginx-light"}, Port: 8080, Path: "/",
		Variants: []Variant{
			{Name: "plain", About: "as it is: SIGTERM is a fast shutdown", Command: command, Expect: endsFast},
			{Name: "preStop", About: "behind a preStop sleep", Command: command, PreStop: preStopSleep, Short: true, Expect: closesIdleAfterSleep},
			{Name: "quit", About: "as documented and in its image on Docker Hub: SIGQUIT, here behind a preStop sleep", Command: command, PreStop: preStopSleep, StopSignal: "SIGQUIT", Expect: closesIdleAfterSleep},
		},
	}
}

func apache() Server {
	command := []string{"/usr/sbin/apache2", "-f", "/app/apache.conf", "-DFOREGROUND"}
	return Server{
		Name: "apache", About: "Apache's httpd, event MPM", Source: "https://httpd.apache.org/docs/2.4/stopping.html",
		Debian: []string{"apache2-bin"}, Port: 8080, Path: "/",
		Variants: []Variant{
			{Name: "plain", About: "as it is: SIGTERM kills its children", Command: command, Expect: endsFast},
			{Name: "preStop", About: "behind a preStop sleep", Command: command, PreStop: preStopSleep, Expect: closesIdleAfterSleep},
			{Name: "graceful", About: "as documented and in its image on Docker Hub: SIGWINCH, here behind a preStop sleep", Command: command, PreStop: preStopSleep, StopSignal: "SIGWINCH", Expect: closesIdleAfterSleep},
		},
	}
}

func haproxy() Server {
	command := []string{"/usr/sbin/haproxy", "-W", "-db", "-f", "/app/haproxy.cfg"}
	plain, slept := endsFast, closesIdleAfterSleep
	plain.MayFail, slept.MayFail = exitCode, exitCode // 143, from the worker
	return Server{
		Name: "haproxy", About: "HAProxy, which answers itself", Source: "https://docs.haproxy.org/2.6/management.html#4",
		Debian: []string{"haproxy"}, Port: 8080, Path: "/",
		Variants: []Variant{
			{Name: "plain", About: "as it is: SIGTERM is a hard stop", Command: command, Expect: plain},
			{Name: "preStop", About: "behind a preStop sleep", Command: command, PreStop: preStopSleep, Expect: slept},
			{Name: "soft-stop", About: "as documented and in its image on Docker Hub: SIGUSR1, here behind a preStop sleep", Command: command, PreStop: preStopSleep, StopSignal: "SIGUSR1", Expect: slept},
		},
	}
}

func varnish() Server {
	command := []string{"/usr/sbin/varnishd", "-F", "-a", ":8080", "-f", "/app/default.vcl", "-s", "malloc,32m", "-j", "none", "-n", "/tmp/varnish"}
	return Server{
		Name: "varnish", About: "Varnish, which answers itself", Source: "https://varnish-cache.org/docs/7.1/reference/varnishd.html",
		Debian: []string{"varnish", "coreutils", "dash"}, Port: 8080, Path: "/",
		Variants: []Variant{
			{Name: "plain", About: "as it is", Command: command, Expect: endsFast},
			{Name: "preStop", About: "behind a preStop sleep", Command: command, PreStop: preStopSleep, Expect: closesIdleAfterSleep},
		},
	}
}

func uwsgi() Server {
	command := func(more ...string) []string {
		return append([]string{
			"/usr/bin/uwsgi-core", "--plugins-dir", "/usr/lib/uwsgi/plugins", "--plugin", "python311", "--http-socket", ":9090", "--chdir", "/app",
			"--wsgi-file", "foobar.py", "--master", "--processes", "4",
		}, more...)
	}
	return Server{
		Name: "uwsgi", About: "uWSGI", Source: "https://uwsgi-docs.readthedocs.io/en/latest/WSGIquickstart.html",
		Issues: []Issue{{"unbit/uwsgi#1974", "its master stops accepting at once, while the load balancer still sends requests"}},
		Debian: []string{"uwsgi-core", "uwsgi-plugin-python3"}, Port: 9090, Path: "/",
		Variants: []Variant{
			{Name: "plain", About: "the quick start: SIGTERM reloads it", Command: command(), Grace: 10, Expect: Expectation{
				Lost: Nobody, Race: race, Fails: killed, MayFail: exitCode,
				Why: "SIGTERM reloads it, it serves on, and is killed when nobody asks any more",
			}},
			{Name: "die-on-term", About: "as documented: --die-on-term", Command: command("--die-on-term"), Expect: Expectation{
				Lost: Anybody, Ways: []Way{Unreached, Unread}, Why: "it closes its listener while nodes still route to it",
			}},
			{Name: "die-on-term-preStop", About: "the same behind a preStop sleep", Command: command("--die-on-term"), PreStop: preStopSleep, Expect: Expectation{
				Lost: Nobody, Why: "no connection is kept, and at SIGTERM no new one arrives any more",
			}},
		},
	}
}
