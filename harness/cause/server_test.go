package cause

import (
	"slices"
	"testing"

	"kubernaut.io/dynamic-toolset/harness/record"
)

func TestRecognise(t *testing.T) {
	for name, c := range map[string]struct {
		target record.Target
		want   string
	}{
		"nothing":                   {record.Target{}, ""},
		"a name that says nothing":  {record.Target{Image: "registry.example:5000/shop/web:1.2", Command: []string{"/server"}}, ""},
		"the header":                {record.Target{Server: record.Signature{Server: "nginx/1.29.1"}}, "nginx"},
		"another product":           {record.Target{Server: record.Signature{Server: "nginxish"}}, ""},
		"the second product":        {record.Target{Server: record.Signature{Server: "Python/3.12 Werkzeug/3.0"}}, "a development server of Python"},
		"Via":                       {record.Target{Server: record.Signature{Via: "1.1 web-1 (Varnish/7.1)"}}, "Varnish"},
		"X-Powered-By":              {record.Target{Server: record.Signature{PoweredBy: "Express"}}, "Node.js"},
		"Node's header":             {record.Target{Server: record.Signature{KeepAlive: "timeout=5"}}, "Node.js"},
		"Apache's is another":       {record.Target{Server: record.Signature{KeepAlive: "timeout=5, max=100"}}, ""},
		"the image":                 {record.Target{Image: "docker.io/library/haproxy:3.2@sha256:0123"}, "HAProxy"},
		"the image, with a port":    {record.Target{Image: "registry:5000/team/my-nginx"}, "nginx"},
		"the registry does not say": {record.Target{Image: "nginx.example.com/team/web:1"}, ""},
		"the command":               {record.Target{Command: []string{"/usr/bin/python3.11", "-m", "gunicorn", "app:app"}, Image: "python:3.11"}, "gunicorn"},
		"workers of another kind":   {record.Target{Command: []string{"gunicorn", "-k", "uvicorn.workers.UvicornWorker"}, Server: record.Signature{Server: "uvicorn"}}, "gunicorn"},
		"the language is weak":      {record.Target{Command: []string{"python3", "app.py"}, Server: record.Signature{Server: "uvicorn"}}, "uvicorn"},
		"only the language":         {record.Target{Command: []string{"python3", "app.py"}}, "Python"},
		"java":                      {record.Target{Command: []string{"java", "-jar", "/app.jar"}}, "Java"},
		"a Go program":              {record.Target{Program: "go1.26.0 example.com/web"}, "Go net/http"},
		"a Go program with a router": {
			record.Target{Program: "go1.26.0 example.com/web with github.com/gin-gonic/gin"}, "Go net/http"},
		"fiber":             {record.Target{Program: "go1.26.0 example.com/web with github.com/gofiber/fiber"}, "fasthttp"},
		"in a shell's line": {record.Target{Command: []string{"sh", "-c", "exec uwsgi --ini app.ini"}}, "uWSGI"},
		"php-fpm":           {record.Target{Command: []string{"php-fpm8.3", "-F"}}, "PHP-FPM"},
	} {
		if got := recognise(&c.target).Name; got != c.want {
			t.Errorf("%s: %q, not %q", name, got, c.want)
		}
	}
}

func TestThroughShell(t *testing.T) {
	for _, c := range []struct {
		command []string
		through bool
		exec    []string
	}{
		{nil, false, nil},
		{[]string{"/server"}, false, nil},
		{[]string{"sh", "-c", "python app.py"}, true, []string{"sh", "-c", "exec python app.py"}},
		{[]string{"sh", "-c", "exec python app.py"}, false, nil},
		{[]string{"/bin/bash", "-ec", "migrate; exec python app.py"}, false, nil},
		{[]string{"/bin/bash", "-c", "migrate && python app.py"}, true, nil},
		{[]string{"sh", "-c", "PORT=80 ./web"}, true, nil},
		{[]string{"/bin/sh", "/entrypoint.sh"}, true, nil},
		{[]string{"npm", "start"}, true, nil},
	} {
		if got := throughShell(c.command); got != c.through {
			t.Errorf("%q: %v", c.command, got)
		}
		if got := withExec(c.command); !slices.Equal(got, c.exec) {
			t.Errorf("%q: %q", c.command, got)
		}
	}
}

// Each text is whole: a server that is recognised says how it stops.
func TestServersAreWhole(t *testing.T) {
	for _, s := range servers {
		if s.Name == "" || s.handler == "" || len(s.words)+len(s.products) == 0 {
			t.Errorf("%+v", s)
		}
		if (s.graceful == "") != (s.quit == "") {
			t.Errorf("%s: a signal and a command belong together", s.Name)
		}
	}
}
