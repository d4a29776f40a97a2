package devicestore

import "errors"

// Failed says that an error that came through whatsmeow is the database's fault, and not that of what was asked.
func Failed(err error) bool {
	_, fromStore := errors.AsType[*storeError](err)
	return fromStore
}
