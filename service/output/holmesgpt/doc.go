// Package holmesgpt renders toolsets as the file of custom toolsets that HolmesGPT
// (https://holmesgpt.dev) loads as it is, and checks such files by a strict
// model of what HolmesGPT accepts.
//
// The facts are those of HolmesGPT's source (holmes/core/tools.py,
// toolset_manager.py, plugins/toolsets/), of the releases of November 2025 and
// of October 2026 (0.45). Where the two differ, a document is right for both:
//
//   - The file is a mapping with the one key "toolsets", which must not be empty:
//     HolmesGPT does not start with a file that has none. So there is always an
//     entry that is switched off.
//   - A key that is the name of a built-in toolset changes that one; any other
//     defines a new one, which must have a description and tools. Which names
//     are built in differs between releases (opensearch/logs until 2025,
//     elasticsearch/data since). Every entry has a description and tools, an
//     empty list for a built-in one, and so is valid in each of them.
//   - No key at any level may contain a dot: the file is read by a library that
//     takes keys for paths.
//   - {{ env.NAME }} is replaced by an environment variable, in the whole entry
//     and not only in its config since 2026, and an entry whose variable is not
//     set fails. A description must not be able to bring one in.
//   - A command goes through os.path.expandvars, then Jinja, which puts each
//     parameter in as one word quoted for the shell, then a shell.
//   - Tool names are unique in all of HolmesGPT (a second of a name replaces the
//     first) and 1 to 64 of A-Z a-z 0-9 _ -, which is what model APIs accept.
package holmesgpt
