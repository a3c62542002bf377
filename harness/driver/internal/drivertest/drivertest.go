// Package drivertest tests that every driver does what package cluster specifies.
package drivertest

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"kubernaut.io/dynamic-toolset/harness/cluster"
)

// Network tests that a cluster's DialContext connects like a client inside: to the API
// server, by the address that only the cluster knows; and with ECONNREFUSED if nobody
// listens.
func Network(t *testing.T, c cluster.Cluster) {
	t.Helper()
	client, err := kubernetes.NewForConfig(c.RESTConfig())
	if err != nil {
		t.Fatal(err)
	}
	s, err := client.CoreV1().Services(metav1.NamespaceDefault).Get(t.Context(), "kubernetes", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	web := http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DialContext: c.DialContext, DisableKeepAlives: true}}
	resp, err := web.Get("http://" + s.Spec.ClusterIP + ":443/")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if text, err := io.ReadAll(resp.Body); err != nil || !strings.Contains(string(text), "HTTPS server") {
		t.Errorf("%s %q, %v", resp.Status, text, err)
	}
	if _, err := c.DialContext(t.Context(), "tcp", "127.0.0.1:1"); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("where nobody listens: %v", err)
	}
}
