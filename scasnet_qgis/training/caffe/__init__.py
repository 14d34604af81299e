"""The authors' published Caffe weights."""
