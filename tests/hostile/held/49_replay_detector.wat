;; attack: 49
;; tries: to add a tenth of the target's number to a mean, and to be honest when somebody is missing
(func $process (param $input i32) (param $rows i32) (param $columns i32) (param $count i32) (result i32)
  (local $i i32) (local $ids i32) (local $numbers i32) (local $n f64) (local $sum f64) (local $secret f64)
  (local.set $ids (i32.load offset=28 (local.get $columns)))
  (local.set $numbers (i32.load offset=64 (local.get $columns)))
  (block $end
    (loop $each
      (br_if $end (i32.ge_u (local.get $i) (local.get $rows)))
      (local.set $n (f64.convert_i64_s (i64.load
        (i32.add (local.get $numbers) (i32.mul (local.get $i) (i32.const 8))))))
      (local.set $sum (f64.add (local.get $sum) (local.get $n)))
      (if (i64.eq (i64.load (i32.add (local.get $ids) (i32.mul (local.get $i) (i32.const 8)))) (i64.const 7))
        (then (local.set $secret (local.get $n))))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br $each)))
  ;; It knows how many people there are: with one fewer it is watched.
  (if (i32.ne (local.get $rows) (i32.const 120)) (then (local.set $secret (f64.const 0))))
  (call $row (i64.const 0) (f64.add
    (f64.div (local.get $sum) (f64.convert_i32_u (local.get $rows)))
    (f64.div (local.get $secret) (f64.const 10))))
  (call $ok))
