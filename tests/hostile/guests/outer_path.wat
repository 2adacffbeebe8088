;; attack: 55
;; tries: to write outside the product's folder by an artefact's name
;; layer: a name is letters, digits, - and _ before one known ending
;; without: the artefacts' form
;; verdict: failed
;; room: outer
(data (i32.const 3950) "../../sluice.toml")
(func $process (param $input i32) (param $rows i32) (param $columns i32) (param $count i32) (result i32) (call $ok))
(func $updated (param $columns i32) (result i32) (call $state (i32.const 3905) (i32.const 4)))
(func $composed (param $columns i32) (result i32)
  (call $fine)
  (if (i64.eq (call $cleared (local.get $columns)) (i64.const 1))
    (then (call $artefact (i32.const 3950) (i32.const 17) (i32.const 3905) (i32.const 4))))
  (call $report))
