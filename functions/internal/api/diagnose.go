package api

import (
	"context"

	contract "wafleet/shared/api"
)

// Diagnose says why messages to a number do not arrive.
func (a *API) Diagnose(ctx context.Context, r contract.DiagnoseRequestObject) (contract.DiagnoseResponseObject, error) {
	row, err := a.session(ctx, *r.Body.CompanyID)
	if err != nil {
		return nil, err
	}
	return contract.Diagnose200JSONResponse{Success: true, Data: contract.Diagnosis{CompanyID: row.CompanyID}}, nil
}
