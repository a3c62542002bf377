// Command build builds the products that tests run and that no package has:
//
//	go run ./test/products/cmd/build [-all | NAME...]
//
// By default it builds those that take a minute or two, with -all also those that take
// many. What is built already is not built again.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"kubernaut.io/dynamic-toolset/test/products"
)

func main() {
	all := flag.Bool("all", false, "also what takes many minutes")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := build(ctx, *all, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "build:", err)
		os.Exit(1)
	}
}

func build(ctx context.Context, all bool, names []string) error {
	modules := products.Modules(all || len(names) > 0)
	if len(names) > 0 {
		var known []string
		for _, m := range modules {
			known = append(known, m.Name)
		}
		for _, n := range names {
			if !slices.Contains(known, n) {
				return fmt.Errorf("%q is none of %q", n, slices.Compact(known))
			}
		}
		modules = slices.DeleteFunc(modules, func(m *products.Module) bool { return !slices.Contains(names, m.Name) })
	}
	return products.Build(ctx, os.Stderr, modules...)
}
