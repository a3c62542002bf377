package main

import (
	"debug/elf"
	"fmt"
	"os"
)

// checkProgram returns an error if a file can't be the program of an image. If complete
// is not set, the image has no other file, and the program must be statically linked.
func checkProgram(path string, complete bool) error {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return fmt.Errorf("the program of the image can't be read: %w; build it first (for our own service: make build)", err)
	case !info.Mode().IsRegular():
		return fmt.Errorf("the program of the image, %s, is no file", path)
	case info.Mode()&0o111 == 0:
		return fmt.Errorf("the program of the image, %s, is not executable: chmod +x it", path)
	case complete:
		return nil
	}
	program, err := elf.Open(path)
	if err != nil {
		return fmt.Errorf("the program of the image, %s, is no Linux program (%w); a script needs its interpreter in the image, see --image-file", path, err)
	}
	defer program.Close() //nolint:errcheck // read only
	for _, p := range program.Progs {
		if p.Type == elf.PT_INTERP {
			return fmt.Errorf("the program of the image, %s, is linked dynamically, and the image has no libraries: link it statically (for Go: CGO_ENABLED=0), or add them with --image-file", path)
		}
	}
	return nil
}
