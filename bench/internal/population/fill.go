package population

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"kubernaut.io/dynamic-toolset/internal/patient"
)

const (
	writers  = 32 // calls under way at once
	pageSize = 2000
)

// Client returns a client that is not slowed down on this side, and speaks
// protobuf. What an overloaded API server refuses is sent again. A timeout bounds
// each call, all tries together; 0 is for watches.
func Client(cfg *rest.Config, timeout time.Duration) (*kubernetes.Clientset, error) {
	cfg = rest.CopyConfig(cfg)
	cfg.QPS = -1 // no limit
	cfg.ContentType = "application/vnd.kubernetes.protobuf"
	cfg.AcceptContentTypes = "application/vnd.kubernetes.protobuf,application/json"
	cfg.Timeout = timeout
	return kubernetes.NewForConfig(patient.Wrap(cfg))
}

// Fill creates what of the plan is missing, so that a cluster may be filled
// again after a measurement. say is told of the progress every few seconds.
// It returns how many Services it created.
func (p *Plan) Fill(ctx context.Context, client kubernetes.Interface, say func(format string, args ...any)) (int, error) {
	if p.Services < SmallCluster {
		return 0, fmt.Errorf("%d Services are too few: at least %d make a comparison", p.Services, SmallCluster)
	}
	there, err := p.existing(ctx, client)
	if err != nil {
		return 0, err
	}
	for _, name := range p.Namespaces() {
		ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{Label: "member"}}}
		if _, err := client.CoreV1().Namespaces().Create(ctx, ns, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
			return 0, fmt.Errorf("create the namespace %s: %w", name, err)
		}
	}
	var created atomic.Int64
	report := time.NewTicker(10 * time.Second)
	defer report.Stop()
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(writers)
	for i := range p.Services {
		select {
		case <-report.C:
			say("%d of %d Services created", created.Load(), p.Services-len(there))
		default:
		}
		svc := p.Service(i)
		if there[svc.Namespace+"/"+svc.Name] {
			continue
		}
		if ctx.Err() != nil {
			break
		}
		group.Go(func() error {
			_, err := client.CoreV1().Services(svc.Namespace).Create(ctx, svc, metav1.CreateOptions{})
			if err != nil {
				return fmt.Errorf("create the Service %s/%s: %w", svc.Namespace, svc.Name, err)
			}
			created.Add(1)
			return nil
		})
	}
	err = errors.Join(group.Wait())
	return int(created.Load()), err
}

// existing returns the Services of earlier fillings, and refuses a cluster
// that holds more of them than the plan has.
func (p *Plan) existing(ctx context.Context, client kubernetes.Interface) (map[string]bool, error) {
	there := map[string]bool{}
	o := metav1.ListOptions{LabelSelector: Label + "=member", Limit: pageSize}
	for {
		list, err := client.CoreV1().Services("").List(ctx, o)
		if err != nil {
			return nil, fmt.Errorf("list the Services: %w", err)
		}
		for i := range list.Items {
			there[list.Items[i].Namespace+"/"+list.Items[i].Name] = true
		}
		if o.Continue = list.Continue; o.Continue == "" {
			break
		}
	}
	if len(there) > p.Services {
		return nil, fmt.Errorf("the cluster holds %d Services of an earlier run already, more than the %d wanted; use a fresh cluster, or --services=%d", len(there), p.Services, len(there))
	}
	return there, nil
}
