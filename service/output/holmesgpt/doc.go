// Package holmesgpt renders toolsets as a file of custom toolsets for HolmesGPT
// (https://holmesgpt.dev), and checks such files.
//
// [Render] turns a [Toolset] into a [Fragment]. [Entries] decides which of several back
// ends becomes the built-in toolset of their kind, and returns the entries that follow
// [Head] in the document. [Check] is a strict model of what HolmesGPT accepts.
//
// What HolmesGPT does is taken from its source (holmes/core/tools.py, toolset_manager.py,
// plugins/toolsets/), in the releases of November 2025 and of October 2026 (0.45). Where
// they differ, a document is right for both:
//
//   - The file is a mapping with the one key "toolsets", which must not be empty: HolmesGPT
//     does not start otherwise. So Head has an entry that is switched off.
//   - An entry whose key is the name of a built-in toolset changes it. Any other defines a
//     new toolset, and must have a description and tools. Which toolsets are built in
//     differs between releases (opensearch/logs until 2025, elasticsearch/data since). So
//     every entry has a description and tools, an empty list for a built-in one.
//   - No key at any level may contain a dot, as HolmesGPT reads the file with a library
//     that takes keys for paths.
//   - {{ env.NAME }} is replaced by an environment variable: in the config, and since 2026
//     in the whole entry. If the variable is not set, the entry fails. So a description
//     must not contain one.
//   - A command goes through os.path.expandvars, then through Jinja, which inserts each
//     parameter as one word quoted for the shell, then to a shell.
//   - Names of tools must be unique, since a second tool replaces the first. They have 1 to
//     64 of the characters A-Z a-z 0-9 _ -, which model APIs accept.
package holmesgpt
