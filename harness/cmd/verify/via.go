package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"kubernaut.io/dynamic-toolset/harness/cluster"
	"kubernaut.io/dynamic-toolset/harness/image"
	"kubernaut.io/dynamic-toolset/harness/record"
	"kubernaut.io/dynamic-toolset/harness/verify"
	"kubernaut.io/dynamic-toolset/harness/via"
	"kubernaut.io/dynamic-toolset/harness/zoo"
)

// viaFlags name the proxy in the path.
type viaFlags struct {
	proxy, proxyTarget string
	// get is the proxy whose program the simulated cluster gets from Debian; empty: none.
	get string
}

func (f *viaFlags) add(s *pflag.FlagSet) {
	s.StringVar(&f.proxy, "via", "", "`PROXY` between the load and the target: "+strings.Join(via.Names(), " or ")+", a FILE with a configuration of one of them, or a manifest with a Deployment and a Service of yours")
	s.StringVar(&f.proxyTarget, "via-target", "", "`SERVICE:PORT` of the proxy in its manifest, or :PORT if a configuration does not say where it listens")
}

// takeVia opens the proxy.
func (f *flags) takeVia(o *verify.Options) error {
	if f.proxy == "" {
		if f.proxyTarget != "" {
			return errors.New("--via-target is of the proxy: name that with --via")
		}
		return nil
	}
	service, text, found := strings.Cut(f.proxyTarget, ":")
	port := 0
	if found && service == "" {
		if _, err := fmt.Sscanf(text, "%d", &port); err != nil || port < 1 || port > 65535 || fmt.Sprint(port) != text {
			return fmt.Errorf("--via-target is %q; write it as SERVICE:PORT or :PORT, a number", f.proxyTarget)
		}
	}
	proxy, err := via.Open(f.proxy, port)
	if err != nil {
		return fmt.Errorf("--via: %w", err)
	}
	if f.proxyTarget != "" && len(proxy.Manifests) == 0 && service != "" {
		return fmt.Errorf("--via-target names the Service %s, and --via %s has no manifest with Services: leave it out, or write :PORT", service, f.proxy)
	}
	if len(proxy.Manifests) > 0 && service == "" && f.proxyTarget != "" {
		return fmt.Errorf("--via-target is %q, and %s is a manifest: name its Service, too", f.proxyTarget, f.proxy)
	}
	if p := &o.Traffic.Protocol; slices.Contains(via.Names(), f.proxy) && (p.TLS != nil || p.Name == record.HTTP2 || p.Name == record.GRPC) {
		return fmt.Errorf("--via %s takes HTTP/1.1 without TLS, and WebSocket: for another protocol give a configuration (--via FILE)", f.proxy)
	}
	o.Via = proxy
	if len(proxy.Manifests) > 0 {
		o.ViaService, o.ViaPort = service, text
	}
	return nil
}

// withoutKnown returns the images that the user must give: of a proxy that is known by its
// kind, getVia gets the program.
func (f *flags) withoutKnown(needed []verify.ContainerImage) []verify.ContainerImage {
	if f.o.Via == nil || f.o.Via.Kind == "" {
		return needed
	}
	name, stop := f.o.Via.Image()
	for i := range f.o.Images {
		if image.Same(f.o.Images[i].Name, name) {
			if f.o.Images[i].StopSignal == "" {
				f.o.Images[i].StopSignal = stop // as its image on Docker Hub has it
			}
			return needed
		}
	}
	f.get = f.o.Via.Kind
	return slices.DeleteFunc(slices.Clone(needed), func(c verify.ContainerImage) bool { return c.Via })
}

// getVia gets Debian's program of the proxy.
func (f *flags) getVia(ctx context.Context, say func(string, ...any)) error {
	if f.get == "" {
		return nil
	}
	name, stop := f.o.Via.Image()
	server, ok := zoo.Named(f.get)
	if !ok {
		return fmt.Errorf("say what the proxy's image is made of: --image %s=SOURCE", name)
	}
	say("getting Debian's %s", f.get)
	p, err := zoo.Get(ctx, server, os.Stderr)
	if err != nil {
		return fmt.Errorf("the proxy's program: %w; or give its image: --image %s=SOURCE", err, name)
	}
	f.o.Images = append(f.o.Images, cluster.Image{Name: name, Root: p.Root, StopSignal: stop})
	f.o.Notes = append(f.o.Notes, fmt.Sprintf("The proxy was Debian's %s %s.", f.get, p.Version))
	f.get = ""
	return nil
}
