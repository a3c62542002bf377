// Command record runs products and writes what they answer to all that the rules ask:
//
//	go run ./test/products/cmd/record [NAME...]
//
// Without names it records all that are installed or built here. Run it in the top folder
// of a checkout.
package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"kubernaut.io/dynamic-toolset/test/products"
)

const (
	rules = "service/detect/rules.yaml"
	out   = "service/identity/testdata/recorded"
)

func main() {
	if err := record(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "record:", err)
		os.Exit(1)
	}
}

func record(names []string) error {
	gets, err := gets(rules)
	if err != nil {
		return err
	}
	ctx := context.Background()
	for _, r := range products.All() {
		if len(names) > 0 && !slices.Contains(names, r.FileName()) && !slices.Contains(names, r.Software.Name) {
			continue
		}
		if err := one(ctx, r, gets); err != nil {
			fmt.Fprintln(os.Stderr, "record:", err)
		}
	}
	return nil
}

func one(ctx context.Context, r products.Setup, gets []string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	p, err := r.Software.Run(ctx, r.Options)
	if err != nil {
		return err
	}
	defer p.Stop()
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	rec := products.Recording{Source: products.RealProcess, Product: r.Software.Product, Version: p.Version, Kind: r.Software.Kind,
		Proves: r.Software.Kind != "", Setup: r.Software.Setup, Prefix: r.Options.Prefix}
	if r.Software.Silent {
		rec.Version = ""
	}
	base := strings.TrimSuffix(p.URL, r.Options.Prefix)
	if rec.Answers, err = products.Record(ctx, client, p.URL, gets); err != nil {
		return fmt.Errorf("%s: %w", r.Software.Name, err)
	}
	if r.Options.Prefix != "" { // and what leads there
		above, err := products.Record(ctx, client, base, []string{"/", r.Options.Prefix})
		if err != nil {
			return fmt.Errorf("%s: %w", r.Software.Name, err)
		}
		rec.Above = above
	}
	other, err := products.Record(ctx, client, p.URL, []string{"/none/such"})
	if err != nil {
		return fmt.Errorf("%s: %w", r.Software.Name, err)
	}
	rec.Otherwise = other[0]
	name := filepath.Join(out, r.FileName()+"-"+p.Version+".json")
	fmt.Println(name)
	return rec.WriteFile(name)
}

// gets returns all that the rules ask, each once, in the order of the file.
func gets(file string) ([]string, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("run this in the top folder of a checkout: %w", err)
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return nil, err
	}
	var found []string
	var walk func(*yaml.Node)
	walk = func(n *yaml.Node) {
		for i, c := range n.Content {
			if n.Kind == yaml.MappingNode && i%2 == 0 && (c.Value == "get" || c.Value == "use") && !slices.Contains(found, n.Content[i+1].Value) {
				found = append(found, n.Content[i+1].Value)
			}
			walk(c)
		}
	}
	walk(&doc)
	if len(found) == 0 {
		return nil, fmt.Errorf("%s asks nothing", file)
	}
	return found, nil
}
