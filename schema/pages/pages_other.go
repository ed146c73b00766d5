//go:build !linux

package pages

import "unsafe"

// populate reports false: there is no such call.
func populate(unsafe.Pointer, uintptr) bool { return false }
