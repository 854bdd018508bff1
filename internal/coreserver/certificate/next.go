package certificate

import (
	"crypto/x509"
	"slices"
	"time"
)

// overlap is how long drivers have an authority before core shows what it has signed, and how long
// they keep the one before: kubelet hands a changed ConfigMap to them within two minutes, and a node
// may be away for longer.
const overlap = 24 * time.Hour

// next is what the state should be at now.
//
//  1. Authorities that have ended go. Where the newest has a third of its life left, or cannot sign
//     for the names, another is put before it.
//  2. The newest is published once trusted, which is what drivers are given, has it.
//  3. The certificate is made anew when a third of its life is left, when it is good for nothing, or
//     when an authority that drivers have had for long enough did not sign it. While there is no such
//     authority, a certificate that is good stays, also for some of the names alone, as after a name
//     was added that no earlier authority can sign for; for one that is not, that of known takes its place.
//  4. Once the newest authority has signed, the others' keys go, and after the overlap they
//     themselves.
func (s state) next(now time.Time, names []string, trusted []*x509.Certificate, known state) (state, error) {
	s, err := s.withNewestAnchor(now, names) // 1
	if err != nil {
		return state{}, err
	}
	isTrusted := slices.ContainsFunc(trusted, s.anchors[0].certificate.Equal) // 2
	switch {
	case !isTrusted:
		s.published = time.Time{}
	case s.published.IsZero() || s.published.After(now):
		s.published = now
	}
	if s.version.Len() == 0 {
		s.version = known.version
	}
	if s.version.Len() == 0 {
		s.version = newVersionKey()
	}
	if s, err = s.withGoodLeaf(now, names, known); err != nil { // 3
		return state{}, err
	}
	return s.withoutFormerAnchors(now), nil // 4
}

func (s state) withNewestAnchor(now time.Time, names []string) (state, error) {
	s.anchors = slices.DeleteFunc(slices.Clone(s.anchors), func(each anchor) bool { return !now.Before(each.certificate.NotAfter) })
	if len(s.anchors) > 0 {
		newest := s.anchors[0]
		left := newest.certificate.NotAfter.Sub(now)
		if newest.signs() && left > anchorLife/3 && left <= anchorLife+skew && !now.Before(newest.certificate.NotBefore) && newest.maySignFor(names) {
			return s, nil
		}
	}
	made, err := newAnchor(now, names)
	if err != nil {
		return state{}, err
	}
	s.anchors, s.published = append([]anchor{made}, s.anchors...), time.Time{}
	return s, nil
}

func (a anchor) maySignFor(names []string) bool {
	return !slices.ContainsFunc(names, func(name string) bool {
		return len(a.certificate.PermittedDNSDomains) > 0 && !slices.Contains(a.certificate.PermittedDNSDomains, name)
	})
}

func (s state) withGoodLeaf(now time.Time, names []string, known state) (state, error) {
	issuer, signer := s.issuer(s.leaf, now, names), s.signer(now, names)
	isDue := issuer < 0 || signer >= 0 && (issuer != signer || s.leaf.isDue(now, names))
	switch {
	case !isDue, issuer >= 0 && signer < 0:
		return s, nil
	case signer < 0 && known.issuer(known.leaf, now, names) >= 0:
		s = s.withAnchors(known.anchors)
		s.leaf = known.leaf
		return s, nil
	}
	var err error
	s.leaf, err = s.anchors[max(signer, 0)].issue(now, names)
	return s, err
}

// signer returns the newest authority that may sign for names and that drivers have known for at least
// overlap; -1 where there is none. The only authority needs just to be published: drivers know no older
// one that could sign instead.
func (s state) signer(now time.Time, names []string) int {
	for i, each := range s.anchors {
		isKnown := i > 0 || !s.published.IsZero() && (len(s.anchors) == 1 || now.Sub(s.published) >= overlap)
		if each.signs() && isKnown && !now.Before(each.certificate.NotBefore) && each.maySignFor(names) {
			return i
		}
	}
	return -1
}

// issuer is the authority by which drivers would take the certificate for any of the names; -1 where
// they would not.
func (s state) issuer(of leaf, now time.Time, names []string) int {
	if of.certificate == nil || !slices.ContainsFunc(names, of.isFor) {
		return -1
	}
	return slices.IndexFunc(s.anchors, func(each anchor) bool {
		roots := x509.NewCertPool()
		roots.AddCert(each.certificate)
		_, err := of.certificate.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: now})
		return err == nil
	})
}

func (l leaf) isFor(name string) bool { return l.certificate.VerifyHostname(name) == nil }

// isDue tells whether a good certificate is to be made anew. One that lasts for longer than it should
// was made by somebody else, or by a clock that was wrong.
func (l leaf) isDue(now time.Time, names []string) bool {
	left := l.certificate.NotAfter.Sub(now)
	isForAll := !slices.ContainsFunc(names, func(name string) bool { return !l.isFor(name) })
	return left < leafLife/3 || left > leafLife+skew || !isForAll
}

func (s state) withoutFormerAnchors(now time.Time) state {
	if len(s.anchors) == 1 || s.leaf.certificate.CheckSignatureFrom(s.anchors[0].certificate) != nil {
		return s
	}
	if now.Sub(issuedAt(s.leaf.certificate)) >= overlap {
		s.anchors = s.anchors[:1]
		return s
	}
	s.anchors = slices.Clone(s.anchors)
	for i := range s.anchors[1:] {
		s.anchors[1+i] = anchor{certificate: s.anchors[1+i].certificate}
	}
	return s
}
