package problem

import (
	"net/http"
	"slices"
	"time"
)

// The predecessor's twelve classes, and the base of them all for what belongs to none.
const (
	ConnectionClass     Class = "ConnectionError"
	AuthenticationClass Class = "AuthenticationError"
	SessionClass        Class = "SessionError"
	RateLimitClass      Class = "RateLimitError"
	MessageSendClass    Class = "MessageSendError"
	ValidationClass     Class = "ValidationError"
	ConfigurationClass  Class = "ConfigurationError"
	TimeoutClass        Class = "TimeoutError"
	ProviderClass       Class = "ProviderError"
	DatabaseClass       Class = "DatabaseError"
	QRCodeClass         Class = "QRCodeError"
	PairingCodeClass    Class = "PairingCodeError"
	BaseClass           Class = "WhatsAppError"
)

// The request is wrong, and stays wrong.
var (
	Validation          = define("VALIDATION_ERROR", ValidationClass, http.StatusBadRequest, "The request is not valid")
	BodyTooLarge        = define("BODY_TOO_LARGE", ValidationClass, http.StatusRequestEntityTooLarge, "The body is too large")
	UnsupportedMedia    = define("UNSUPPORTED_MEDIA_TYPE", ValidationClass, http.StatusUnsupportedMediaType, "Content-Type must be application/json")
	NotFound            = define("NOT_FOUND", ValidationClass, http.StatusNotFound, "Not found")
	MethodNotAllowed    = define("METHOD_NOT_ALLOWED", ValidationClass, http.StatusMethodNotAllowed, "The path does not know this method")
	CompanyExists       = define("COMPANY_EXISTS", ValidationClass, http.StatusConflict, "The company exists")
	IdempotencyConflict = define("IDEMPOTENCY_CONFLICT", ValidationClass, http.StatusConflict,
		"The idempotency key was used with another body")
	MediaBlocked     = define("MEDIA_FETCH_BLOCKED", ValidationClass, http.StatusBadRequest, "The URL is none that is fetched from")
	MediaUnreachable = define("MEDIA_FETCH_FAILED", ValidationClass, http.StatusBadRequest, "The URL gave no file").RetryAfter(0)
	MediaTooLarge    = define("MEDIA_TOO_LARGE", ValidationClass, http.StatusRequestEntityTooLarge, "The file is too large")
	MediaUnsupported = define("MEDIA_TYPE_UNSUPPORTED", ValidationClass, http.StatusUnsupportedMediaType, "The file is of a type that cannot be sent")
	NotCancelable    = define("MESSAGE_NOT_CANCELABLE", ValidationClass, http.StatusConflict, "The message can no longer be canceled")
)

// The key does not open this door.
var (
	Unauthorized = define("UNAUTHORIZED", AuthenticationClass, http.StatusUnauthorized, "The API key is missing, unknown or revoked")
	Forbidden    = define("FORBIDDEN", AuthenticationClass, http.StatusForbidden, "The API key is not for this company")
)

// The state of a company's session does not allow it.
var (
	Session          = define("SESSION_ERROR", SessionClass, http.StatusConflict, "The session's state does not allow it")
	CompanyNotFound  = define("COMPANY_NOT_FOUND", SessionClass, http.StatusNotFound, "There is no such company")
	SessionLoggedOut = define("SESSION_LOGGED_OUT", SessionClass, http.StatusConflict, "The session was logged out and has to be paired again")
	SessionReplaced  = define("SESSION_REPLACED", SessionClass, http.StatusConflict, "Another connection of the device took over").RetryAfter(0)
	QRNotAvailable   = define("QR_NOT_AVAILABLE", QRCodeClass, http.StatusConflict, "There is no QR code to scan").RetryAfter(0)
	NoPairingCode    = define("PAIRING_CODE_ERROR", PairingCodeClass, http.StatusConflict, "No pairing code could be had").RetryAfter(0)
	PairingTooOften  = define("PAIRING_RATE_LIMITED", PairingCodeClass, http.StatusTooManyRequests,
		"WhatsApp gives this number no more pairing codes for now").RetryAfter(0)
	// NotConnected is the predecessor's answer, to the letter, to a send for a session that needs its user.
	NotConnected = define("MESSAGE_SEND_ERROR", MessageSendClass, http.StatusConflict,
		"Failed to send message: Session not connected").RetryAfter(time.Minute)
)

// It may go better later.
var (
	RateLimited = define("RATE_LIMIT_EXCEEDED", RateLimitClass, http.StatusTooManyRequests, "The company has sent too much").RetryAfter(0)
	Connection  = define("CONNECTION_ERROR", ConnectionClass, http.StatusServiceUnavailable, "A part of the system could not be reached").RetryAfter(0)
	Timeout     = define("TIMEOUT", TimeoutClass, http.StatusGatewayTimeout, "The answer took too long").RetryAfter(0)
	Provider    = define("PROVIDER_ERROR", ProviderClass, http.StatusBadGateway, "WhatsApp answered with an error").RetryAfter(0)
	Database    = define("DATABASE_ERROR", DatabaseClass, http.StatusServiceUnavailable, "The database could not be reached").RetryAfter(0)
)

// It is our fault.
var (
	Configuration = define("CONFIGURATION_ERROR", ConfigurationClass, http.StatusInternalServerError, "This installation is not set up for it")
	Internal      = define("INTERNAL_ERROR", BaseClass, http.StatusInternalServerError, "Something went wrong on our side")
)

// catalogue lists the values above in the order of the contract.
var catalogue = []*Problem{
	Validation, BodyTooLarge, UnsupportedMedia, NotFound, MethodNotAllowed, CompanyExists, IdempotencyConflict, NotCancelable,
	MediaBlocked, MediaUnreachable, MediaTooLarge, MediaUnsupported,
	Unauthorized, Forbidden,
	Session, CompanyNotFound, SessionLoggedOut, SessionReplaced,
	RateLimited, NotConnected, Connection, Timeout, Provider, Database, Configuration,
	QRNotAvailable, NoPairingCode, PairingTooOften, Internal,
}

// Catalogue returns every problem there is.
func Catalogue() []*Problem { return slices.Clone(catalogue) }

func define(code Code, class Class, status int, message string) *Problem {
	return &Problem{Code: code, Class: class, Status: status, Message: message}
}
