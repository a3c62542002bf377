package service

// A Tool is one entry of the generated document, in the format that Kubernaut's
// agents load: {"tools":[{"name":...,"type":...,"endpoint":...}]}.
//
// It carries nothing that changes without a change in the cluster, such as
// times or health: the document is written to a ConfigMap, and every rewrite
// makes every agent reload.
type Tool struct {
	Name        string            `json:"name"`
	Type        string            `json:"type"`
	Endpoint    string            `json:"endpoint"`
	Description string            `json:"description"`
	Namespace   string            `json:"namespace"`
	Config      map[string]string `json:"config"`
}

func newTool(b *Backend, name string) Tool {
	return Tool{
		Name: name, Type: b.Type, Endpoint: b.Endpoint, Description: b.Description,
		Namespace: b.Key.Namespace, Config: map[string]string{"url": b.Endpoint + b.APIPath},
	}
}

// newDocument puts the generated document together: one tool a line, so that a
// person can read a difference. Toolsets that are switched off are not in
// entries.
func newDocument(entries *list) *Answer {
	end := "]}\n"
	if entries.count > 0 {
		end = "\n" + end
	}
	return newAnswer(entries, []byte(`{"tools":[`), []byte(end))
}
