package image

import (
	"debug/elf"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"runtime"
)

// machines has the names that Go and images use for those of ELF files.
var machines = map[elf.Machine]string{
	elf.EM_X86_64: "amd64", elf.EM_AARCH64: "arm64", elf.EM_386: "386", elf.EM_ARM: "arm",
	elf.EM_PPC64: "ppc64le", elf.EM_S390: "s390x", elf.EM_RISCV: "riscv64", elf.EM_LOONGARCH: "loong64",
}

// usual are programs and libraries of which nearly every root file system has one.
var usual = []string{"bin/sh", "bin/busybox", "usr/bin/env", "bin/true", "lib64/ld-linux-x86-64.so.2", "lib/ld-linux-aarch64.so.1", "sbin/init"}

// checkPrograms returns an error if the programs in a root file system are for another
// kind of machine. If none of the usual ones is there, that shows when one is started.
func checkPrograms(dir string) error {
	for _, name := range usual {
		f, err := openIn(dir, name)
		if err != nil {
			continue
		}
		err = checkELF(f, dir)
		_ = f.Close() // only read
		return err
	}
	return nil
}

func checkProgram(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return unusable("%s can't be read: %w", path, errors.Unwrap(err))
	}
	defer f.Close() //nolint:errcheck // only read
	return checkELF(f, path)
}

// checkELF reads only the begin of the header (elf(5)), which is where the machine is. A
// file that is no ELF file may be a script.
func checkELF(r io.ReaderAt, path string) error {
	var h [20]byte
	if _, err := r.ReadAt(h[:], 0); err != nil || string(h[:4]) != elf.ELFMAG {
		return nil
	}
	var order binary.ByteOrder = binary.LittleEndian
	if elf.Data(h[5]) == elf.ELFDATA2MSB {
		order = binary.BigEndian
	}
	machine := elf.Machine(order.Uint16(h[18:]))
	name := machines[machine]
	if name == "" {
		name = machine.String()
	}
	if name != runtime.GOARCH {
		return wrongMachine(path, "linux/"+name)
	}
	return nil
}
