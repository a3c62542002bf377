package rpc

//lint:file-ignore SA1019 servers of some years have v1alpha of the reflection only

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	_ "google.golang.org/grpc/health/grpc_health_v1" // its types are built in
	reflection "google.golang.org/grpc/reflection/grpc_reflection_v1"
	reflectionalpha "google.golang.org/grpc/reflection/grpc_reflection_v1alpha"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
)

// HealthCheck is the method of the standard health service.
const HealthCheck = "/grpc.health.v1.Health/Check"

// A Method makes the requests of a unary method.
type Method struct {
	input protoreflect.MessageDescriptor
}

// Request returns the binary form of a request, which is given as JSON; empty: a message
// without fields.
func (m *Method) Request(text string) ([]byte, error) {
	message := dynamicpb.NewMessage(m.input)
	if strings.TrimSpace(text) != "" {
		if err := protojson.Unmarshal([]byte(text), message); err != nil {
			return nil, fmt.Errorf("the request %q is no %s in JSON: %w", text, m.input.FullName(), err)
		}
	}
	return proto.Marshal(message)
}

// ErrUnknown says that the descriptors do not have the service.
var ErrUnknown = errors.New("unknown service")

// split splits /package.Service/Method.
func split(path string) (service, method string, err error) {
	service, method, ok := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	if !ok || service == "" || method == "" || strings.Contains(method, "/") {
		return "", "", fmt.Errorf("%q is no gRPC method; write it as /package.Service/Method, such as %s", path, HealthCheck)
	}
	return service, method, nil
}

// Described finds a method in a FileDescriptorSet in its binary form (as protoc
// --include_imports --descriptor_set_out writes it), or without one among the types that
// are built in: ErrUnknown if it is none of them.
func Described(path string, descriptors []byte) (*Method, error) {
	service, method, err := split(path)
	if err != nil {
		return nil, err
	}
	if len(descriptors) == 0 {
		return find(protoregistry.GlobalFiles, service, method)
	}
	var set descriptorpb.FileDescriptorSet
	if err := proto.Unmarshal(descriptors, &set); err != nil {
		return nil, fmt.Errorf("the descriptors are no FileDescriptorSet (make one by protoc --include_imports --descriptor_set_out=FILE): %w", err)
	}
	files, err := protodesc.NewFiles(&set)
	if err != nil {
		return nil, fmt.Errorf("the descriptors are incomplete (make them by protoc --include_imports --descriptor_set_out=FILE): %w", err)
	}
	return find(files, service, method)
}

type files interface {
	FindDescriptorByName(protoreflect.FullName) (protoreflect.Descriptor, error)
}

func find(in files, service, method string) (*Method, error) {
	d, err := in.FindDescriptorByName(protoreflect.FullName(service))
	s, ok := d.(protoreflect.ServiceDescriptor)
	if err != nil || !ok {
		return nil, fmt.Errorf("%w: the descriptors have no service %s", ErrUnknown, service)
	}
	m := s.Methods().ByName(protoreflect.Name(method))
	if m == nil {
		var names []string
		for i := range s.Methods().Len() {
			names = append(names, string(s.Methods().Get(i).Name()))
		}
		return nil, fmt.Errorf("%s has no method %s; its methods are %s", service, method, strings.Join(names, ", "))
	}
	if m.IsStreamingClient() || m.IsStreamingServer() {
		return nil, fmt.Errorf("%s/%s streams; only unary methods can be called", service, method)
	}
	return &Method{m.Input()}, nil
}

// Resolve finds a method as Described does, or else asks the server by reflection.
func Resolve(ctx context.Context, cc grpc.ClientConnInterface, path string, descriptors []byte) (*Method, error) {
	m, err := Described(path, descriptors)
	if !errors.Is(err, ErrUnknown) || len(descriptors) > 0 {
		return m, err
	}
	service, method, err := split(path)
	if err != nil {
		return nil, err
	}
	set, err := reflect(ctx, cc, service)
	if err != nil {
		return nil, err
	}
	all, err := protodesc.NewFiles(set)
	if err != nil {
		return nil, fmt.Errorf("the server's reflection is incomplete: %w", err)
	}
	return find(all, service, method)
}

// A ReflectionError says why the server could not be asked about its services.
type ReflectionError struct{ Status *status.Status }

func (e *ReflectionError) Error() string {
	if e.Status.Code() == codes.Unimplemented {
		return "the server has no reflection (grpc.reflection.v1): turn it on there, or give the descriptors in a file"
	}
	return fmt.Sprintf("the server could not be asked about its services by reflection: %v: %s", e.Status.Code(), e.Status.Message())
}

// reflect asks the server for the files that describe a service, with all that these
// import.
func reflect(ctx context.Context, cc grpc.ClientConnInterface, service string) (*descriptorpb.FileDescriptorSet, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	set, err := reflectV1(ctx, cc, service)
	if status.Code(err) == codes.Unimplemented {
		set, err = reflectAlpha(ctx, cc, service)
	}
	if s, ok := status.FromError(err); ok && err != nil {
		return nil, &ReflectionError{s}
	}
	return set, err
}

func reflectV1(ctx context.Context, cc grpc.ClientConnInterface, service string) (*descriptorpb.FileDescriptorSet, error) {
	stream, err := reflection.NewServerReflectionClient(cc).ServerReflectionInfo(ctx)
	if err != nil {
		return nil, err
	}
	return collect(service, func(symbol, file string) ([][]byte, string, error) {
		q := &reflection.ServerReflectionRequest{MessageRequest: &reflection.ServerReflectionRequest_FileContainingSymbol{FileContainingSymbol: symbol}}
		if file != "" {
			q.MessageRequest = &reflection.ServerReflectionRequest_FileByFilename{FileByFilename: file}
		}
		_ = stream.Send(q) // Recv has the reason
		answer, err := stream.Recv()
		return answer.GetFileDescriptorResponse().GetFileDescriptorProto(), answer.GetErrorResponse().GetErrorMessage(), err
	})
}

func reflectAlpha(ctx context.Context, cc grpc.ClientConnInterface, service string) (*descriptorpb.FileDescriptorSet, error) {
	stream, err := reflectionalpha.NewServerReflectionClient(cc).ServerReflectionInfo(ctx)
	if err != nil {
		return nil, err
	}
	return collect(service, func(symbol, file string) ([][]byte, string, error) {
		q := &reflectionalpha.ServerReflectionRequest{MessageRequest: &reflectionalpha.ServerReflectionRequest_FileContainingSymbol{FileContainingSymbol: symbol}}
		if file != "" {
			q.MessageRequest = &reflectionalpha.ServerReflectionRequest_FileByFilename{FileByFilename: file}
		}
		_ = stream.Send(q) // Recv has the reason
		answer, err := stream.Recv()
		return answer.GetFileDescriptorResponse().GetFileDescriptorProto(), answer.GetErrorResponse().GetErrorMessage(), err
	})
}

// maxFiles bounds the files that describe a service.
const maxFiles = 500

// collect asks for the file of a service, and then for those that are missing.
func collect(service string, ask func(symbol, file string) (files [][]byte, problem string, err error)) (*descriptorpb.FileDescriptorSet, error) {
	set := new(descriptorpb.FileDescriptorSet)
	have := map[string]bool{}
	take := func(symbol, file string) error {
		answer, problem, err := ask(symbol, file)
		switch {
		case err != nil:
			return err
		case problem != "" || len(answer) == 0:
			return fmt.Errorf("the server's reflection does not know %s: %s", symbol+file, problem)
		}
		for _, data := range answer {
			f := new(descriptorpb.FileDescriptorProto)
			if err := proto.Unmarshal(data, f); err != nil {
				return fmt.Errorf("the server's reflection answers with no descriptor: %w", err)
			}
			if !have[f.GetName()] {
				have[f.GetName()] = true
				set.File = append(set.File, f)
			}
		}
		return nil
	}
	if err := take(service, ""); err != nil {
		return nil, err
	}
	for i := 0; i < len(set.File); i++ {
		for _, file := range set.File[i].GetDependency() {
			if have[file] {
				continue
			}
			if len(set.File) > maxFiles {
				return nil, fmt.Errorf("the service %s needs more than %d files", service, maxFiles)
			}
			if err := take("", file); err != nil {
				return nil, err
			}
			if !have[file] {
				return nil, fmt.Errorf("the server's reflection answers with other files than %s", file)
			}
		}
	}
	slices.Reverse(set.File) // imports first, for those who read it
	return set, nil
}
