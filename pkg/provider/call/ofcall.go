package call

import "errors"

// OfCall marks an ErrUnavailable that says nothing of other namespaces' calls: the provider
// is there, and this call was too slow or too much for it. What is not marked is taken to
// hold for every pod of the node, which are told its text; it names no namespace.
func OfCall(err error) error { return ofCall{err} }

// IsOfCall reports whether err is marked by OfCall or OfAccount.
func IsOfCall(err error) bool {
	var marked ofCall
	return errors.As(err, &marked) || IsOfAccount(err)
}

type ofCall struct{ error }

func (o ofCall) Unwrap() error { return o.error }

// OfAccount marks an ErrUnavailable that says nothing of other service accounts' calls, of the same
// namespace neither: the provider answered, and wants fewer calls of this one.
func OfAccount(err error) error { return ofAccount{err} }

// IsOfAccount reports whether err is marked by OfAccount.
func IsOfAccount(err error) bool {
	var marked ofAccount
	return errors.As(err, &marked)
}

type ofAccount struct{ error }

func (o ofAccount) Unwrap() error { return o.error }
