package verify

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"kubernaut.io/dynamic-toolset/harness/driver"
)

// The load generator's pod.
const (
	agentNamespace = "toolset-verification"
	agentImage     = "toolset-verification/load-agent:devel"
	agentPort      = "9000"
	agentTimeout   = 30 * time.Second
)

// agentPod is the pod that sends the load. It is a bare pod: nothing may replace
// or move it during a run.
type agentPod struct {
	client  kubernetes.Interface
	name    string
	address string
}

// startAgent brings the load generator's pod up and returns when it answers.
func startAgent(ctx context.Context, c driver.Cluster, client kubernetes.Interface, binary string) (*agentPod, error) {
	if err := c.LoadImage(ctx, driver.Image{
		Name: agentImage, Files: map[string]string{"/loadagent": binary}, Entrypoint: []string{"/loadagent"}, User: 65532,
	}); err != nil {
		return nil, fmt.Errorf("load the image of the load generator: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, agentTimeout)
	defer cancel()
	_, err := client.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: agentNamespace}}, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return nil, fmt.Errorf("create the load generator's namespace: %w", err)
	}
	no := false
	seconds := int64(1)
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "load-", Namespace: agentNamespace},
		Spec: corev1.PodSpec{
			RestartPolicy: corev1.RestartPolicyNever, AutomountServiceAccountToken: &no, EnableServiceLinks: &no,
			TerminationGracePeriodSeconds: &seconds,
			Containers: []corev1.Container{{
				Name: "load", Image: agentImage, ImagePullPolicy: corev1.PullIfNotPresent,
				Args:            []string{"--listen=:" + agentPort},
				SecurityContext: &corev1.SecurityContext{AllowPrivilegeEscalation: &no},
			}},
		},
	}
	// A new namespace has its ServiceAccount a moment later; without it pods are
	// refused.
	var made *corev1.Pod
	for {
		if made, err = client.CoreV1().Pods(agentNamespace).Create(ctx, pod, metav1.CreateOptions{}); err == nil {
			break
		}
		if !apierrors.IsForbidden(err) {
			return nil, fmt.Errorf("create the load generator's pod: %w", err)
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("create the load generator's pod: %w", err)
		case <-time.After(100 * time.Millisecond):
		}
	}
	a := &agentPod{client: client, name: made.Name}
	if err := a.wait(ctx, c); err != nil {
		return nil, errors.Join(fmt.Errorf("the load generator's pod did not start: %w", err), a.remove())
	}
	return a, nil
}

// wait waits until the pod answers.
func (a *agentPod) wait(ctx context.Context, c driver.Cluster) error {
	probe := http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			return c.DialContext(ctx, network, address)
		},
	}}
	last := errors.New("it was not scheduled")
	for {
		p, err := a.client.CoreV1().Pods(agentNamespace).Get(ctx, a.name, metav1.GetOptions{})
		switch {
		case err != nil:
			last = err
		case p.Status.Phase == corev1.PodFailed || p.Status.Phase == corev1.PodSucceeded:
			return fmt.Errorf("it has ended: %s %s", p.Status.Reason, p.Status.Message)
		case p.Status.PodIP != "":
			a.address = net.JoinHostPort(p.Status.PodIP, agentPort)
			resp, err := probe.Get("http://" + a.address + "/healthz")
			if err == nil {
				_ = resp.Body.Close()
				return nil
			}
			last = err
		default:
			for _, s := range p.Status.ContainerStatuses {
				if w := s.State.Waiting; w != nil {
					last = fmt.Errorf("%s: %s", w.Reason, w.Message)
				}
			}
		}
		select {
		case <-ctx.Done():
			return last
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// remove deletes the pod.
func (a *agentPod) remove() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	zero := int64(0)
	err := a.client.CoreV1().Pods(agentNamespace).Delete(ctx, a.name, metav1.DeleteOptions{GracePeriodSeconds: &zero})
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}
