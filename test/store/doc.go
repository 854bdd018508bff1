// Package store has Airflow's own secrets backends judge what the driver makes of the same stores, in
// 'make store-test'.
package store
