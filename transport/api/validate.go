package api

import (
	"github.com/valyala/fasthttp"

	"kubernaut.io/dynamic-toolset/problem"
	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/output/kubernaut"
)

// maxValidations bounds how many documents are validated at the same time. Others wait;
// the bound on all bodies includes theirs.
const maxValidations = 2

// findings waits for its turn and validates a document. A document of many small values
// takes many times its size during validation.
func (a *API) findings(doc []byte) ([]service.Invalid, error) {
	a.validations <- struct{}{}
	defer func() { <-a.validations }()
	return kubernaut.Validate(doc)
}

// Validate answers with what is wrong with the document in the body.
func (a *API) Validate(ctx *fasthttp.RequestCtx) {
	findings, err := a.findings(ctx.Request.Body())
	if err != nil {
		a.problem(ctx, problem.Validation, "The document can't be checked: "+err.Error()+".",
			problem.InBody(problem.Body, "", err.Error()))
		return
	}
	wrong := make([]problem.FieldError, len(findings)) // an empty array, not null
	for i, f := range findings {
		wrong[i] = problem.InBody(f.Pointer, f.Field, f.Message)
	}
	writeJSON(ctx, fasthttp.StatusOK, struct {
		Valid  bool                 `json:"valid"`
		Errors []problem.FieldError `json:"errors"`
	}{len(wrong) == 0, wrong})
}
