package sim

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
)

// ControlPlane is a running etcd with its API server. [StartControlPlane] starts one,
// and [ControlPlane.Stop] ends it. Its methods may be called by several goroutines.
type ControlPlane struct{ plane }

// StartControlPlane starts etcd and the API server, and returns when the API is ready:
// /readyz says so, and the namespace "default" exists. It calls [Build] first, which
// may compile for minutes the first time.
//
// ctx bounds the start only. The error wraps [ErrUnavailable] if the binary can't be
// built here. If a process did not start, it has the end of its log. After an error
// nothing is left running.
func StartControlPlane(ctx context.Context, opts ...Option) (*ControlPlane, error) {
	o := newOptions(opts)
	if err := o.build(ctx); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	cp := &ControlPlane{plane{kind: "control plane"}}
	if err := cp.start(ctx, o); err != nil {
		err = fmt.Errorf("start the simulated control plane: %w", err)
		if cp.supervisor != nil {
			err = errors.Join(err, cp.Stop())
		}
		return nil, err
	}
	return cp, nil
}

func (cp *ControlPlane) start(ctx context.Context, o options) error {
	if err := cp.open(ctx, o, "supervise"); err != nil {
		return err
	}
	cp.logDir = cp.Dir()
	if o.logDir != "" {
		var err error
		if cp.logDir, err = filepath.Abs(o.logDir); err != nil {
			return err
		}
	}
	cp.logArg = cp.logDir
	cp.apiServerArgs = controlPlaneAPIServerFlags(cp.port.number, o.apiServerFlags)
	if err := cp.startEtcd(ctx); err != nil {
		return err
	}
	return cp.StartAPIServer(ctx)
}
