;; attack: 52
;; tries: to say how many people are in its block, a million for each, and so whether one person is there
;; layer: §4 B: a block's answer is clamped to its range; the noise covers one block
;; without: the clamp
;; verdict: bounded
;; route: B
;; secret: presence
(func $process (param $input i32) (param $rows i32) (param $columns i32) (param $count i32) (result i32)
  (call $row (i64.const 0) (f64.mul (f64.const 1000000) (f64.convert_i32_s (i32.sub (local.get $rows) (i32.const 2)))))
  (call $ok))
