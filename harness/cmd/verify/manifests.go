package main

import "kubernaut.io/dynamic-toolset/harness/manifest"

// read reads manifests.
func (f *flags) read(paths []string) ([]manifest.Object, error) { return manifest.Read(paths...) }
