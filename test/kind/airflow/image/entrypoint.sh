#!/bin/bash
# Runs what the container is given, as the official image does: a program, or what follows
# "airflow".
case ${1:-} in
airflow | bash | python) exec "$@" ;;
*) exec airflow "$@" ;;
esac
