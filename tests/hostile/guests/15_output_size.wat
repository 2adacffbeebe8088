;; attack: 15
;; tries: to say the target's number by how large the answer is
;; layer: G2: an answer becomes the contract's cells, whatever its size
;; without: intake, reading size
;; verdict: same
(func $process (param $input i32) (param $rows i32) (param $columns i32) (param $count i32) (result i32) (local $n i64)
  (local.set $n (i64.add (i64.const 1) (i64.mul (i64.const 50) (call $secret (local.get $columns)))))
  (loop $more
    (call $row (i64.const 77) (f64.const 1))
    (br_if $more (i64.gt_s (local.tee $n (i64.sub (local.get $n) (i64.const 1))) (i64.const 0))))
  (call $row (i64.const 0) (f64.const 1))
  (call $ok))
