# A namespace with an account for tasks, such as every cluster with an Airflow has.
kubectl create namespace airflow
kubectl -n airflow create serviceaccount etl
