"""The smallest whole factor table, in both forms: what the guide and the API's own page show.

Twelve grams for a drink in one's own cup, in both forms the same row.
"""

EXAMPLE_YAML = """\
kind: factor_table
name: example_own_cup
subject: own_cup
region: CN-GD-SZ
title_zh: 自带杯减排因子(示例)
title_en: Own cups, an example
assumption: A figure made up for this example.
sources:
  guide:
    title: docs/factor-tables.md
    publisher: Tanpuhui
    published_year: 2026
    seen_in: the guide itself
rows:
  - code: EXAMPLE-CUP
    name_zh: 自带杯
    name_en: A drink in one's own cup
    scenario: own_cup_used
    method: per_count
    value: "0.012"
    unit: kgCO2/piece
    gas_set: CO2
    valid_from: 2027-01-01
    valid_from_kind: published
    verified: no
    source: guide
    examples:
      - inputs: {count: 5}
        expected: "60"
        unit: gCO2
        source: 5 x 12 g by hand
"""
EXAMPLE_CSV = """\
table_name,table_subject,table_region,table_title_zh,table_title_en,table_assumption,\
code,name_zh,name_en,scenario,method,value,unit,gas_set,valid_from,valid_from_kind,verified,\
source_title,source_publisher,source_published_year,source_seen_in,\
example_inputs,example_expected,example_unit,example_source
example_own_cup,own_cup,CN-GD-SZ,自带杯减排因子(示例),"Own cups, an example",\
A figure made up for this example.,\
EXAMPLE-CUP,自带杯,A drink in one's own cup,\
own_cup_used,per_count,0.012,kgCO2/piece,CO2,2027-01-01,published,no,\
docs/factor-tables.md,Tanpuhui,2026,the guide itself,\
"{""count"": 5}",60,gCO2,5 x 12 g by hand
"""
