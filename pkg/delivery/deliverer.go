// Package delivery brings entries from a provider into volumes. There is one path:
// the first mount, kubelet's republish and a rotation all run the same deliver.
package delivery
