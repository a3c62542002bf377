package listwatch

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func service(name string) *corev1.Service {
	return &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: name, ResourceVersion: "2"}}
}

// A recorder is told what a Reflector finds, as words.
type recorder struct{ told []string }

func (r *recorder) say(format string, args ...any) {
	r.told = append(r.told, fmt.Sprintf(format, args...))
}

func (r *recorder) options() Options {
	return Options{
		Name: "services", Example: &corev1.Service{}, Log: zap.NewNop(), PageSize: 2,
		Worked:  func(verb string) { r.say("%s worked", verb) },
		Listed:  func(items []any, version string) { r.say("listed %d at %s", len(items), version) },
		Changed: func(object any) { r.say("changed %s", object.(*corev1.Service).Name) },
		Deleted: func(object any) { r.say("deleted %s", object.(*corev1.Service).Name) },
	}
}

// Failures of lists and of watches are told apart; after each there is another list, of the
// latest state, page by page.
func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{}
		o := r.options()
		lists, watches := 0, 0
		o.List = func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			return Page(ctx, time.Second, o, func(ctx context.Context, o metav1.ListOptions) (*corev1.ServiceList, error) {
				if o.ResourceVersion != "" || o.ResourceVersionMatch != "" {
					t.Errorf("asked for the state at %q %q", o.ResourceVersion, o.ResourceVersionMatch)
				}
				if deadline, ok := ctx.Deadline(); !ok || time.Until(deadline) > time.Second {
					t.Errorf("a page until %v", deadline)
				}
				if lists++; lists == 1 {
					return nil, errors.New("no list")
				}
				page := &corev1.ServiceList{Items: []corev1.Service{*service("a"), *service("b")}}
				page.ResourceVersion = "1"
				if o.Limit != 2 {
					t.Errorf("a page of %d", o.Limit)
				}
				if o.Continue == "" {
					page.Continue = "more"
				}
				return page, nil
			})
		}
		events := watch.NewFake()
		o.Watch = func(_ context.Context, o metav1.ListOptions) (watch.Interface, error) {
			if watches++; watches == 1 {
				return nil, apierrors.NewForbidden(corev1.Resource("services"), "", errors.New("no watch"))
			}
			if o.ResourceVersion != "1" {
				t.Errorf("watches from %s", o.ResourceVersion)
			}
			return events, nil
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			New(o).Run(ctx, func(verb string, err error) { r.say("%s failed: %v", verb, err != nil) }, func() bool { return false })
		}()
		time.Sleep(time.Minute)
		events.Add(service("c"))
		events.Modify(service("a"))
		events.Delete(service("b"))
		synctest.Wait()
		cancel()
		<-ended
		want := []string{"list failed: true", "list worked", "listed 4 at 1", "watch failed: true", "list worked", "listed 4 at 1", "watch worked", "changed c", "changed a", "deleted b"}
		if !slices.Equal(r.told, want) {
			t.Errorf("got\n%s\nwant\n%s", strings.Join(r.told, "\n"), strings.Join(want, "\n"))
		}
	})
}

// Where only somebody can help who grants a right, it is tried less often.
func TestRunWithoutHope(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for hopeless, want := range map[bool]int{false: 1400, true: 360} {
			r := &recorder{}
			o := r.options()
			o.List = func(context.Context, metav1.ListOptions) (runtime.Object, error) { return nil, errors.New("no list") }
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			New(o).Run(ctx, func(string, error) { r.say("failed") }, func() bool { return hopeless })
			cancel()
			if n := len(r.told); n < want*9/10 || n > want*11/10 {
				t.Errorf("hopeless %v: %d attempts in an hour, want about %d", hopeless, n, want)
			}
		}
	})
}

// Run waits for the list that client-go leaves behind.
func TestRunLeavesNoListBehind(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	o := (&recorder{}).options()
	over := false
	o.List = func(context.Context, metav1.ListOptions) (runtime.Object, error) {
		cancel()
		time.Sleep(100 * time.Millisecond) // it does not end with its context
		over = true
		return nil, errors.New("too late")
	}
	New(o).Run(ctx, func(string, error) {}, func() bool { return false })
	if !over {
		t.Error("a list is still under way")
	}
}
