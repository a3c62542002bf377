//go:build !linux

package conntrack

import (
	"context"
	"errors"
)

func watch(context.Context, Filter, func(line) error) error {
	return errors.New("only Linux has a connection tracking that can be read")
}
