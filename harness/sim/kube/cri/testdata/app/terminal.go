package main

import (
	"fmt"
	"syscall"
	"unsafe"
)

// terminalSize returns "ROWS COLUMNS" of the terminal on standard input.
func terminalSize() string {
	var size struct{ row, col, x, y uint16 }
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, 0, syscall.TIOCGWINSZ, uintptr(unsafe.Pointer(&size))); errno != 0 {
		return errno.Error()
	}
	return fmt.Sprint(size.row, " ", size.col)
}
