;; attack: 15
;; tries: to flood the host with rows
;; layer: the contract's rows_max, checked in the child and again by the parent
;; without: the limits of an answer
;; verdict: default
(func $process (param $input i32) (param $rows i32) (param $columns i32) (param $count i32) (result i32) (local $n i64)
  (local.set $n (i64.add (i64.const 1) (i64.mul (i64.const 400) (call $secret (local.get $columns)))))
  (loop $more
    (call $row (i64.const 0) (f64.const 1))
    (br_if $more (i64.gt_s (local.tee $n (i64.sub (local.get $n) (i64.const 1))) (i64.const 0))))
  (call $ok))
