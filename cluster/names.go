package cluster

const (
	// FieldManager is the field manager of what this service writes, for server-side
	// apply.
	FieldManager = "dynamic-toolset"
	// ManagedByLabel is the label that tells people the same; its value is FieldManager.
	ManagedByLabel = "app.kubernetes.io/managed-by"
	// AnnotationPrefix begins all annotations of this service, on Services and on what it
	// writes.
	AnnotationPrefix = "kubernaut.io/"
)
