from serving.metrics import LATENCY_BOUNDS, REQUEST_COUNT, REQUEST_LATENCY, Metrics


def test_an_empty_page_names_every_metric() -> None:
    assert Metrics().page({"m": [3, 2]}).splitlines() == [
        "# TYPE :tensorflow:serving:request_count counter",
        "# TYPE :tensorflow:serving:batching_session:processed_batch_size histogram",
        "# TYPE :tensorflow:serving:request_latency histogram",
        "# TYPE :tensorflow:serving:runtime_latency histogram",
        "# TYPE :tensorflow:serving:loaded_version gauge",
        ':tensorflow:serving:loaded_version{model_name="m",version="3"} 1',
        ':tensorflow:serving:loaded_version{model_name="m",version="2"} 1',
    ]


def test_counters_and_histograms() -> None:
    metrics = Metrics()
    for status in ("OK", "OK", "NOT_FOUND"):
        metrics.count(REQUEST_COUNT, model_name='a"\\\n', status=status)
    for value in (1.0, 10.0, 11.0, 1e12):
        metrics.observe(REQUEST_LATENCY, LATENCY_BOUNDS, value, API="predict")
    lines = metrics.page({}).splitlines()
    assert ':tensorflow:serving:request_count{model_name="a\\"\\\\\\n",status="OK"} 2' in lines
    buckets = [line for line in lines if "_bucket" in line]
    assert buckets[0] == ':tensorflow:serving:request_latency_bucket{API="predict",le="10"} 1'
    assert buckets[1].endswith(',le="18"} 3')
    assert buckets[-1].endswith(',le="+Inf"} 4')
    assert len(buckets) == 34
    assert metrics.value("/tensorflow/serving/request_count") == 3
    assert metrics.value("/unknown") == 0
