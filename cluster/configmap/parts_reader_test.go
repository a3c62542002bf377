package configmap

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"kubernaut.io/dynamic-toolset/internal/testenv"
	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/output/holmesgpt"
	"kubernaut.io/dynamic-toolset/service/output/kubernaut"
)

// readDocuments reads as docs/configmap.md tells readers to: the documents, or the parts
// of each by the index. again means that a part is not what the index says, and that the
// reader must start again.
func (a *api) readDocuments(ctx context.Context) (docs map[string][]string, again bool, err error) {
	maps := a.CoreV1().ConfigMaps(a.NS)
	cm, err := maps.Get(ctx, cmName, metav1.GetOptions{})
	if err != nil {
		return nil, false, err
	}
	docs = map[string][]string{}
	text := cm.Data[IndexKey]
	if strings.TrimSpace(text) == "" {
		for _, key := range []string{kubernaut.Key, holmesgpt.Key} {
			if doc, ok := cm.Data[key]; ok {
				docs[key] = []string{doc}
			}
		}
		return docs, false, nil
	}
	var idx Index
	if err := json.Unmarshal([]byte(text), &idx); err != nil || idx.Version != 1 {
		return nil, false, fmt.Errorf("the index: %s: %w", text, err)
	}
	for _, d := range idx.Documents {
		for _, p := range d.Parts {
			part, err := maps.Get(ctx, p.Name, metav1.GetOptions{})
			if apierrors.IsNotFound(err) {
				return nil, true, nil
			}
			if err != nil {
				return nil, false, err
			}
			doc := part.Data[d.Key]
			if s := sha256.Sum256([]byte(doc)); hex.EncodeToString(s[:]) != p.SHA256 || len(doc) != p.Bytes {
				return nil, true, nil
			}
			docs[d.Key] = append(docs[d.Key], doc)
		}
	}
	return docs, false, nil
}

// toolNames returns the names in the parts of toolset.json, in their order.
func toolNames(t *testing.T, parts []string) (all []string) {
	t.Helper()
	all, err := namesIn(parts)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func namesIn(parts []string) (all []string, err error) {
	for _, text := range parts {
		var d struct{ Tools []kubernaut.Tool }
		if err := json.Unmarshal([]byte(text), &d); err != nil {
			return nil, fmt.Errorf("a part is no document of its own: %w: %.200s", err, text)
		}
		for _, tool := range d.Tools {
			all = append(all, tool.Name)
		}
	}
	return all, nil
}

// wantTools waits until a reader finds these entries.
func (a *api) wantTools(within time.Duration, docs []service.Document) time.Duration {
	a.T.Helper()
	want := toolNames(a.T, []string{string(docs[0].Bytes())})
	return testenv.Eventually(a.T, within, fmt.Sprintf("a reader finds %d toolsets", len(want)), func() bool {
		got, again, err := a.readDocuments(a.T.Context())
		if err != nil || again {
			return false
		}
		names, err := namesIn(got[kubernaut.Key]) // somebody may have broken one for a moment
		return err == nil && slices.Equal(names, want)
	})
}
