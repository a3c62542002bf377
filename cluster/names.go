package cluster

const (
	// FieldManager is who owns what this service writes of an object, for server-side
	// apply.
	FieldManager = "dynamic-toolset"
	// ManagedByLabel is the label that says the same to people: FieldManager is its value.
	ManagedByLabel = "app.kubernetes.io/managed-by"
	// AnnotationPrefix begins the annotations that are this service's, on Services and on
	// what it writes.
	AnnotationPrefix = "kubernaut.io/"
)
