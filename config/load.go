package config

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

// ErrHelp means that the arguments contained --help, and that the usage was written.
var ErrHelp = errors.New("help was asked for")

// Problems lists everything that is wrong with the settings. Each element is a sentence
// that says what to change. Load returns its errors as Problems.
type Problems []string

// Error returns the problems, one per line.
func (p Problems) Error() string {
	if len(p) == 1 {
		return "a setting is wrong: " + p[0]
	}
	return fmt.Sprintf("%d settings are wrong:\n- %s", len(p), strings.Join(p, "\n- "))
}

// Load returns the settings from args (flags, without the names of the program and the
// command), from environ (in the form of os.Environ) and from the YAML file that --config
// names; of several values, a flag comes before the environment, and that before the file.
// If args has --help it writes the usage and returns ErrHelp; every other error is
// of type Problems.
func Load(args []string, environ []string, usage io.Writer) (*Settings, error) {
	s := &Settings{}
	l := newLoader(s, environ)
	if l.fromArgs(args) {
		Usage(usage)
		return nil, ErrHelp
	}
	l.fromEnvironment()
	l.fromFile()
	l.validate()
	if len(l.problems) > 0 {
		return nil, l.problems
	}
	return s, nil
}

// A loader collects settings and their problems.
type loader struct {
	settings *Settings
	flags    *flagSet
	env      map[string]string
	// origin tells, for each flag that has a value, where it comes from, in the words of
	// messages: "--listen", "TOOLSET_LISTEN" or "listen in settings.yaml".
	origin   map[string]string
	problems Problems
	// operands are the arguments that are no flags; nil for a command that has none.
	operands []string
}

func newLoader(s *Settings, environ []string) *loader {
	l := &loader{settings: s, flags: newFlags(s), origin: map[string]string{}, env: map[string]string{}}
	for _, pair := range environ {
		name, value, _ := strings.Cut(pair, "=")
		l.env[name] = value
	}
	return l
}

func (l *loader) problem(format string, args ...any) {
	l.problems = append(l.problems, fmt.Sprintf(format, args...))
}

// where returns the name of a setting for messages, such as "TOOLSET_LISTEN".
func (l *loader) where(flag string) string {
	if o, ok := l.origin[flag]; ok {
		return o
	}
	return "--" + flag
}

// set gives a flag a value that comes from origin. If the value can't be parsed, it adds
// a problem and leaves the flag unchanged.
func (l *loader) set(flag *pflag.Flag, value, origin string) {
	l.origin[flag.Name] = origin
	if err := flag.Value.Set(value); err == nil {
		return
	}
	hint := "the value can't be read"
	switch flag.Value.Type() {
	case "duration":
		hint = "it must be a duration with its unit, such as 500ms, 30s or 5m"
	case "bool":
		hint = "it must be true or false"
	case "int":
		hint = "it must be a whole number"
	case "size":
		hint = "it must be a size below 2 GiB, in bytes or with a unit, such as 16KiB or 1MiB"
	case "stringSlice":
		hint = "it must be a list separated by commas, without quotes"
	}
	l.problem("%s is %s; %s", origin, quote(value), hint)
}

// fromArgs sets flags from the command line, and reports whether it asks for help. Unlike
// pflag's parser it goes on after an error, so that all problems are found at once.
func (l *loader) fromArgs(args []string) (help bool) {
	for i := 0; i < len(args); i++ {
		arg := args[i]
		if arg == "--help" || arg == "-h" {
			return true
		}
		name, isFlag := strings.CutPrefix(arg, "--")
		name, value, hasValue := strings.Cut(name, "=")
		flag := l.flags.Lookup(name)
		// The next argument is the value unless it is a flag; "-" is a value, standard
		// output.
		next := i+1 < len(args) && (args[i+1] == "-" || !strings.HasPrefix(args[i+1], "-"))
		switch {
		case !isFlag && strings.HasPrefix(arg, "-") && l.flags.Lookup(strings.TrimLeft(name, "-")) != nil:
			l.problem("%s must be written with two dashes: -%s", quote(arg), cutLong(arg))
			if !hasValue && next {
				i++
			}
		case !isFlag && l.operands != nil && !strings.HasPrefix(arg, "-"):
			l.operands = append(l.operands, arg)
		case !isFlag || name == "":
			l.problem("%s is not expected here; settings are given as --name=value (see --help)", quote(arg))
		case flag == nil:
			l.problem("--%s is not a setting%s", cutLong(name), l.didYouMean("--", name))
			if !hasValue && next {
				i++ // the next argument is most likely its value
			}
		case hasValue:
			l.set(flag, value, "--"+name)
		case flag.NoOptDefVal != "":
			l.set(flag, flag.NoOptDefVal, "--"+name)
			if i+1 < len(args) && (args[i+1] == "true" || args[i+1] == "false") {
				i++
				l.problem("--%s %s must be written as one word: --%[1]s=%[2]s", name, args[i])
			}
		case next:
			i++
			l.set(flag, args[i], "--"+name)
		default:
			l.problem("--%s needs a value: --%[1]s=%s", name, placeholder(flag))
		}
	}
	return false
}

// fromEnvironment sets those flags that have no value yet from the environment. An empty
// variable counts as not set, since manifests can't always leave one out.
func (l *loader) fromEnvironment() {
	known := map[string]bool{}
	l.flags.VisitAll(func(flag *pflag.Flag) {
		name := envName(flag.Name)
		known[name] = true
		if value := l.env[name]; value != "" && l.origin[flag.Name] == "" {
			l.set(flag, value, name)
		}
	})
	var unknown []string
	for name, value := range l.env {
		if strings.HasPrefix(name, envPrefix) && !known[name] && value != "" && !foreign(name) {
			unknown = append(unknown, name)
		}
	}
	slices.Sort(unknown)
	for _, name := range unknown {
		flag := strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(name, envPrefix), "_", "-"))
		l.problem("the environment variable %s is not a setting%s", cutLong(name), l.didYouMean("", flag))
	}
}

// placeholder returns what the help calls the value of a flag, such as DURATION.
func placeholder(flag *pflag.Flag) string {
	name, _ := pflag.UnquoteUsage(flag)
	return name
}
