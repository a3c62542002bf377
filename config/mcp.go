package config

import "io"

// MCP has the settings of the command mcp. They are valid if they come from LoadMCP.
type MCP struct{ Reading }

const mcpGroup = "MCP"

// LoadMCP does for the command mcp what Load does for the service.
func LoadMCP(args []string, environ []string, usage io.Writer) (*MCP, error) {
	s, m := &Settings{}, &MCP{}
	l := newLoader(s, environ)
	addMCPFlags(l.flags, m)
	if l.fromArgs(args) {
		mcpUsage(usage)
		return nil, ErrHelp
	}
	l.refuseOthers("mcp", readingShared, mcpGroup)
	l.fromEnvironment()
	l.fromFile()
	l.validateReading(&m.Reading)
	for _, flag := range [...]string{"manifests", "overrides"} {
		if l.flags.Lookup(flag).Value.String() == "-" {
			l.problem("%s can't be standard input, from which the messages of the agent come; give a file", l.where(flag))
		}
	}
	if len(l.problems) > 0 {
		return nil, l.problems
	}
	m.Cluster, m.Discovery = s.Cluster, s.Discovery
	return m, nil
}

func addMCPFlags(f *flagSet, m *MCP) {
	f.begin(mcpGroup, "What is read besides the cluster.")
	addReadingFlags(f, &m.Reading)
	f.end()
}

const mcpIntro = `Serves an agent on this machine: it answers messages of the Model Context Protocol from standard input on standard
output, with the same tools as POST /mcp of the service, until its input ends. It watches the cluster or the manifests, so its answers
follow changes. Back ends are not asked who they are and their health is not checked, since from outside of a cluster most can't be
reached. Until the cluster has been read, calls of tools wait for it for up to 10 s, or --timeout if that is shorter, and are then
answered with the reason; everything else is answered at once. What goes wrong is written to standard error, and what it waits for if
that takes more than half a second.`

const mcpExamples = `
  dynamic-toolset mcp --kubeconfig ~/.kube/config
  dynamic-toolset mcp --kubeconfig ~/.kube/config --context staging --namespaces monitoring,logging
  dynamic-toolset mcp --manifests DIR

An agent's configuration, such as .mcp.json:

  {"mcpServers": {"backends": {"command": "dynamic-toolset",
    "args": ["mcp", "--kubeconfig", "/home/me/.kube/config"]}}}

Exit codes: 0 the input has ended, or a signal has come, 1 something can't be
read or written, or the cluster had not been read when the input ended, 2 wrong
settings.
`

func mcpUsage(w io.Writer) {
	f := newFlags(&Settings{})
	addMCPFlags(f, &MCP{})
	commandUsage(w, f, mcpIntro, mcpExamples, readingShared, mcpGroup)
}
