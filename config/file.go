package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/pflag"
	"sigs.k8s.io/yaml"
)

const (
	maxFile = 1 << 20 // bytes of the settings file
	maxKeys = 200     // in the file, known or not
)

// fromFile reads the --config file, and sets those flags that have no value yet.
func (l *loader) fromFile() {
	path := l.settings.File
	if path == "" {
		return
	}
	text, err := readFile(path)
	if err != nil {
		l.problem("%s: %v", l.where("config"), err)
		return
	}
	l.fromYAML(text, path)
}

// readFile reads a file of at most maxFile bytes.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, explain(path, err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, explain(path, err)
	}
	if len(text) > maxFile {
		return nil, fmt.Errorf("%s is larger than the %d KiB that settings may have", path, maxFile>>10)
	}
	return text, nil
}

// explain returns an error that says in a sentence why a file can't be used.
func explain(path string, err error) error {
	switch {
	case errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("%s does not exist", path)
	case errors.Is(err, os.ErrPermission):
		return fmt.Errorf("%s may not be read by this process; check its permissions", path)
	}
	var pathError *os.PathError
	if errors.As(err, &pathError) {
		err = pathError.Err
	}
	return fmt.Errorf("%s can't be read: %w", path, err)
}

// fromYAML sets flags from a YAML document that was read from path.
func (l *loader) fromYAML(text []byte, path string) {
	doc, err := yaml.YAMLToJSONStrict(text)
	if err != nil {
		l.problem("%s is not valid YAML: %s", path, quote(strings.TrimSpace(err.Error())))
		return
	}
	var values map[string]json.RawMessage
	if err := json.Unmarshal(doc, &values); err != nil {
		l.problem("%s must hold lines of the form name: value", path)
		return
	}
	if len(values) > maxKeys {
		l.problem("%s has %d keys, far more than there are settings: it must be another kind of file", path, len(values))
		return
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		origin := cutLong(name) + " in " + path
		flag := l.flags.Lookup(name)
		switch {
		case flag == nil:
			l.problem("%s is not a setting%s", origin, l.didYouMean(" ", name))
		case name == "config":
			l.problem("%s is not possible: a settings file can't name another one", origin)
		default:
			value, err := scalar(flag, values[name])
			if err != nil {
				l.problem("%s %v", origin, err)
			} else if l.origin[name] == "" {
				l.set(flag, value, origin)
			}
		}
	}
}

// scalar returns the value of a key as text, as one would write it after the flag.
func scalar(flag *pflag.Flag, raw json.RawMessage) (string, error) {
	kind := flag.Value.Type()
	switch raw[0] {
	case '"':
		var s string
		err := json.Unmarshal(raw, &s)
		return s, err
	case '[':
		var list []string
		switch err := json.Unmarshal(raw, &list); {
		case kind != "stringSlice":
			return "", errors.New("must be a single value, not a list")
		case err != nil:
			return "", errors.New("must be a list of strings; put those that look like numbers or booleans in quotes")
		case slices.ContainsFunc(list, func(s string) bool { return strings.ContainsAny(s, ",\"\r\n") }):
			return "", errors.New("holds an item with a comma, a quote or a line break; write one item per line")
		}
		return strings.Join(list, ","), nil
	case '{':
		return "", errors.New("must be a single value; settings are not nested")
	case 'n':
		return "", errors.New("has no value; give it one, or remove the line")
	}
	if kind == "string" || kind == "stringSlice" {
		return "", fmt.Errorf("must be a string; put it in quotes: %q", raw)
	}
	return string(raw), nil
}
