package rpc

import (
	"net"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/types/descriptorpb"
)

// What reflection says of a service is what its descriptors say.
func TestReflection(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer()
	healthpb.RegisterHealthServer(s, health.NewServer())
	reflection.Register(s)
	go s.Serve(l) //nolint:errcheck // it ends with Stop
	t.Cleanup(s.Stop)
	cc, err := grpc.NewClient("passthrough:///"+l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer cc.Close()
	for _, ask := range []func() (*descriptorpb.FileDescriptorSet, error){
		func() (*descriptorpb.FileDescriptorSet, error) {
			return reflectV1(t.Context(), cc, "grpc.health.v1.Health")
		},
		func() (*descriptorpb.FileDescriptorSet, error) {
			return reflectAlpha(t.Context(), cc, "grpc.health.v1.Health")
		},
	} {
		set, err := ask()
		if err != nil {
			t.Fatal(err)
		}
		files, err := protodesc.NewFiles(set)
		if err != nil {
			t.Fatal(err)
		}
		m, err := find(files, "grpc.health.v1.Health", "Check")
		if err != nil {
			t.Fatal(err)
		}
		data, err := m.Request(`{"service":"a"}`)
		var request healthpb.HealthCheckRequest
		if err != nil || proto.Unmarshal(data, &request) != nil || request.GetService() != "a" {
			t.Errorf("%v: %v", err, &request)
		}
	}
}

// orders describes a service in a file of its own, which imports another.
func orders(t *testing.T, withImport bool) []byte {
	t.Helper()
	message := func(name string) *descriptorpb.DescriptorProto {
		return &descriptorpb.DescriptorProto{Name: &name, Field: []*descriptorpb.FieldDescriptorProto{{
			Name: proto.String("id"), Number: proto.Int32(1), JsonName: proto.String("id"),
			Type: descriptorpb.FieldDescriptorProto_TYPE_STRING.Enum(), Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum(),
		}}}
	}
	method := func(name string, streams bool) *descriptorpb.MethodDescriptorProto {
		return &descriptorpb.MethodDescriptorProto{Name: &name, InputType: proto.String(".shop.Order"), OutputType: proto.String(".shop.Order"), ServerStreaming: &streams}
	}
	set := &descriptorpb.FileDescriptorSet{File: []*descriptorpb.FileDescriptorProto{{
		Name: proto.String("orders.proto"), Package: proto.String("shop"), Syntax: proto.String("proto3"), Dependency: []string{"order.proto"},
		Service: []*descriptorpb.ServiceDescriptorProto{{Name: proto.String("Orders"), Method: []*descriptorpb.MethodDescriptorProto{method("Get", false), method("Watch", true)}}},
	}}}
	if withImport {
		set.File = append(set.File, &descriptorpb.FileDescriptorProto{
			Name: proto.String("order.proto"), Package: proto.String("shop"), Syntax: proto.String("proto3"), MessageType: []*descriptorpb.DescriptorProto{message("Order")},
		})
	}
	data, err := proto.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestDescribed(t *testing.T) {
	whole := orders(t, true)
	for name, x := range map[string]struct {
		path        string
		descriptors []byte
		request     string
		want        string // of the error
	}{
		"right":          {"/shop.Orders/Get", whole, `{"id":"1"}`, ""},
		"without /":      {"shop.Orders/Get", whole, "", ""},
		"no field":       {"/shop.Orders/Get", whole, `{"ID":"1"}`, "is no shop.Order in JSON"},
		"no method":      {"/shop.Orders/Set", whole, "", "its methods are Get, Watch"},
		"a stream":       {"/shop.Orders/Watch", whole, "", "only unary methods"},
		"no service":     {"/shop.Order/Get", whole, "", "the descriptors have no service shop.Order"},
		"no import":      {"/shop.Orders/Get", orders(t, false), "", "--include_imports"},
		"no descriptors": {"/shop.Orders/Get", []byte("syntax = proto3;"), "", "are no FileDescriptorSet"},
		"no path":        {"/shop.Orders", whole, "", "write it as /package.Service/Method"},
	} {
		m, err := Described(x.path, x.descriptors)
		if err == nil {
			_, err = m.Request(x.request)
		}
		if (err == nil) != (x.want == "") || err != nil && !strings.Contains(err.Error(), x.want) {
			t.Errorf("%s: %v, not %q", name, err, x.want)
		}
	}
}
