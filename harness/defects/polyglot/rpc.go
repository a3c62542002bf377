package main

import (
	"context"
	"net"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/status"
)

// An rpcServer serves gRPC: health, and reflection. A Check of a service whose name is a
// duration takes that long.
type rpcServer struct {
	server *grpc.Server
	health *health.Server
}

func newRPC(o *options) *rpcServer {
	s := &rpcServer{health: health.NewServer()}
	s.server = grpc.NewServer(grpc.UnaryInterceptor(func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
		if err := grpc.SetHeader(ctx, metadata.Pairs("x-served-by", o.pod)); err != nil {
			return nil, err
		}
		check, ok := req.(*healthpb.HealthCheckRequest)
		if !ok || check.GetService() == "" {
			return next(ctx, req)
		}
		d, err := time.ParseDuration(check.GetService())
		if err != nil || d < 0 || d > longest {
			return nil, status.Error(codes.NotFound, "the service's name must be a duration up to a minute")
		}
		select {
		case <-time.After(d):
			return &healthpb.HealthCheckResponse{Status: healthpb.HealthCheckResponse_SERVING}, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}))
	healthpb.RegisterHealthServer(s.server, s.health)
	reflection.Register(s.server)
	return s
}

func (s *rpcServer) serve(l net.Listener) error {
	if err := s.server.Serve(l); err != nil {
		return err
	}
	select {} // the process ends when all is finished
}

func (s *rpcServer) part() { s.health.Shutdown() }

func (s *rpcServer) finish(ctx context.Context) error {
	defer context.AfterFunc(ctx, s.server.Stop)()
	s.server.GracefulStop()
	return ctx.Err()
}

func (s *rpcServer) cut() { s.server.Stop() }

func (s *rpcServer) leave() {
	go s.server.GracefulStop() // the process ends before it does
	time.Sleep(moment)
}
