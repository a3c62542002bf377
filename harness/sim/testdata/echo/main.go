// Command echo is the workload of the tests of package sim: a static HTTP server.
//
//	GET /           the pod's name (the host name) and the version (VERSION)
//	GET /fetch?url= what GET url answers from inside the pod
//	GET /api        lists the pods of the pod's namespace with its ServiceAccount
//	GET /me         its user id, and whether its root directory can be written to
//	GET /exit?code= ends the process with this code
//
// With the argument "deaf" it ignores SIGTERM. With "say" and further arguments it
// prints these and ends: "exec" needs a program to call.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const serviceAccount = "/var/run/secrets/kubernetes.io/serviceaccount/"

// drainFor is longer than nodes need to remove a pod from a Service.
const drainFor = 3 * time.Second

func main() {
	if len(os.Args) > 1 && os.Args[1] == "say" {
		fmt.Println(strings.Join(os.Args[2:], " "))
		return
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		name, _ := os.Hostname()
		fmt.Fprintf(w, "%s %s\n", name, os.Getenv("VERSION"))
	})
	mux.HandleFunc("GET /fetch", func(w http.ResponseWriter, r *http.Request) {
		forward(w, &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}, r.FormValue("url"), "")
	})
	mux.HandleFunc("GET /api", listPods)
	mux.HandleFunc("GET /me", func(w http.ResponseWriter, _ *http.Request) {
		err := os.WriteFile("/written", nil, 0o600)
		fmt.Fprintf(w, "uid=%d written=%v\n", os.Getuid(), err == nil)
	})
	mux.HandleFunc("GET /exit", func(_ http.ResponseWriter, r *http.Request) {
		code, _ := strconv.Atoi(r.FormValue("code"))
		os.Exit(code)
	})
	fmt.Println("listening", os.Getenv("VERSION"))
	server := &http.Server{Addr: ":8080", Handler: mux}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM)
	go func() {
		fmt.Fprintln(os.Stderr, server.ListenAndServe())
	}()
	<-signals
	fmt.Println("asked to end")
	if len(os.Args) > 1 && os.Args[1] == "deaf" {
		select {}
	}
	time.Sleep(drainFor)
	_ = server.Shutdown(context.Background())
}

// listPods calls the API server, like a program in a pod.
func listPods(w http.ResponseWriter, _ *http.Request) {
	token, err := os.ReadFile(serviceAccount + "token")
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	namespace, err := os.ReadFile(serviceAccount + "namespace")
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	ca, err := os.ReadFile(serviceAccount + "ca.crt")
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: roots},
	}}
	host := os.Getenv("KUBERNETES_SERVICE_HOST") + ":" + os.Getenv("KUBERNETES_SERVICE_PORT")
	forward(w, client, "https://"+host+"/api/v1/namespaces/"+string(namespace)+"/pods", string(token))
}

func forward(w http.ResponseWriter, client *http.Client, url, token string) {
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := client.Do(req)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer resp.Body.Close()
	w.WriteHeader(resp.StatusCode)
	_, _ = io.Copy(w, resp.Body)
}
