package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"
	"k8s.io/streaming/pkg/httpstream"

	"kubernaut.io/dynamic-toolset/harness/load/agentpod"
)

const (
	// forwardTimeout bounds the start of a forward.
	forwardTimeout = 15 * time.Second
	// maxForwards bounds the forwards that are kept.
	maxForwards = 128
)

// A Forwarder reaches a gateway by port-forwards through the API server, as kubectl
// port-forward does
// (https://kubernetes.io/docs/tasks/access-application-cluster/port-forward-access-application-cluster/).
//
// Each destination has its own forward: one broken connection ends all others of its
// forward, and should not end those of the load.
type Forwarder struct {
	client kubernetes.Interface
	config *rest.Config

	mu       sync.Mutex
	closed   bool
	forwards map[string]*forward // by destination
	work     sync.WaitGroup
}

// A forward listens on this host until it ends.
type forward struct {
	ready chan struct{} // closed when it listens, or has failed
	stop  func()        // ends it
	port  uint16
	err   error
	used  time.Time
}

// NewForwarder returns a Forwarder for a cluster.
func NewForwarder(client kubernetes.Interface, config *rest.Config) *Forwarder {
	return &Forwarder{client: client, config: config, forwards: map[string]*forward{}}
}

// Reach connects to the gateway. It has the signature of the type Reach.
func (f *Forwarder) Reach(ctx context.Context, pod *corev1.Pod, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, forwardTimeout)
	defer cancel()
	fw, err := f.forward(pod, address)
	if err != nil {
		return nil, err
	}
	select {
	case <-fw.ready:
	case <-ctx.Done():
		return nil, fmt.Errorf("port-forward to the pod %s: %w", pod.Name, ctx.Err())
	}
	if fw.err != nil {
		return nil, fmt.Errorf("port-forward to the pod %s: %w", pod.Name, fw.err)
	}
	return new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(int(fw.port))))
}

// Close ends all forwards.
func (f *Forwarder) Close() {
	f.mu.Lock()
	f.closed = true
	for _, fw := range f.forwards {
		fw.stop()
	}
	f.mu.Unlock()
	f.work.Wait()
}

// forward returns the forward of a destination; it starts one if there is none.
func (f *Forwarder) forward(pod *corev1.Pod, address string) (*forward, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return nil, net.ErrClosed
	}
	if fw := f.forwards[address]; fw != nil {
		fw.used = time.Now()
		return fw, nil
	}
	if len(f.forwards) >= maxForwards {
		f.endOldest()
	}
	stopped := make(chan struct{})
	fw := &forward{ready: make(chan struct{}), stop: sync.OnceFunc(func() { close(stopped) }), used: time.Now()}
	f.forwards[address] = fw
	f.work.Go(func() {
		f.run(pod, fw, stopped)
		f.mu.Lock()
		if f.forwards[address] == fw {
			delete(f.forwards, address)
		}
		f.mu.Unlock()
	})
	return fw, nil
}

// endOldest ends the forward that was not used for longest. f.mu must be held.
func (f *Forwarder) endOldest() {
	oldest := ""
	for address, fw := range f.forwards {
		if oldest == "" || fw.used.Before(f.forwards[oldest].used) {
			oldest = address
		}
	}
	f.forwards[oldest].stop()
	delete(f.forwards, oldest)
}

// run forwards until fw is stopped, or its connection breaks.
func (f *Forwarder) run(pod *corev1.Pod, fw *forward, stopped <-chan struct{}) {
	ready, ended := make(chan struct{}), make(chan error, 1)
	said := new(bytes.Buffer) // by this forward only, and read after its end
	port := agentpod.Port
	forwarder, err := f.forwarder(pod, port, stopped, ready, said)
	if err != nil {
		fw.err = err
		close(fw.ready)
		return
	}
	go func() { ended <- forwarder.ForwardPorts() }()
	select {
	case <-ready:
		ports, err := forwarder.GetPorts()
		if err == nil && len(ports) != 1 {
			err = errors.New("it listens on no port")
		}
		if err == nil {
			fw.port = ports[0].Local
		}
		fw.err = err
		close(fw.ready)
		<-ended
	case err := <-ended:
		if err == nil {
			err = errors.New("it ended before it listened")
		}
		if said.Len() > 0 {
			err = fmt.Errorf("%w: %s", err, bytes.TrimSpace(said.Bytes()))
		}
		fw.err = err
		close(fw.ready)
	}
}

// forwarder uses a WebSocket, or SPDY if the API server does not support that, as
// kubectl does.
func (f *Forwarder) forwarder(pod *corev1.Pod, port int, stop <-chan struct{}, ready chan struct{}, errs io.Writer) (*portforward.PortForwarder, error) {
	roundTripper, upgrader, err := spdy.RoundTripperFor(f.config)
	if err != nil {
		return nil, err
	}
	u := f.client.CoreV1().RESTClient().Post().Resource("pods").Namespace(pod.Namespace).Name(pod.Name).SubResource("portforward").URL()
	dialer := spdy.NewDialer(upgrader, &http.Client{Transport: roundTripper}, http.MethodPost, u)
	tunnel, err := portforward.NewSPDYOverWebsocketDialer(u, f.config)
	if err != nil {
		return nil, err
	}
	dialer = portforward.NewFallbackDialer(tunnel, dialer, func(err error) bool {
		return httpstream.IsUpgradeFailure(err) || httpstream.IsHTTPSProxyError(err)
	})
	return portforward.NewOnAddresses(dialer, []string{"127.0.0.1"}, []string{"0:" + strconv.Itoa(port)}, stop, ready, io.Discard, errs)
}
