#!/bin/sh
# prometheus.yml is written for one machine; here each part has a host name of its own.
set -eu
mkdir -p /tmp/dfd
umask 077
printf %s "$DFD_METRICS_TOKEN" >/tmp/dfd/token
sed -e '/job_name: dfd-/a\    authorization: {credentials_file: token}' \
  -e 's/127.0.0.1:9460/monitor:9460/; s/127.0.0.1:9461/ingest:9461/; s/127.0.0.1:9093/alertmanager:9093/' \
  -e 's/127.0.0.1:9459/evidence:9459/; s/127.0.0.1:8470/console:8470/' \
  -e 's/127.0.0.1:9462"/worker:9462", "worker:9463"/' /etc/dfd/prometheus.yml >/tmp/dfd/prometheus.yml
cp -r /etc/dfd/rules /tmp/dfd/
exec /bin/prometheus --config.file=/tmp/dfd/prometheus.yml --storage.tsdb.path=/prometheus "$@"
