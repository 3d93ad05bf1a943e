use super::*;

fn read(text: &str) -> Result<Table, String> {
    Table::parse(Path::new("f.csv"), text, &Absent::new(&[])).map_err(|e| e.to_string())
}

fn shown(text: &str) -> String {
    let table = read(text).unwrap();
    let rows = table.rows.iter().map(|row| {
        let cells: Vec<&str> = row.cells.iter().collect();
        format!("{}:{}", row.line, cells.join("|"))
    });
    let header = table.header.join("|");
    std::iter::once(header)
        .chain(rows)
        .collect::<Vec<_>>()
        .join(" / ")
}

#[test]
fn cells_are_parted_by_the_mark_that_fits_all_lines() {
    for (text, expected) in [
        ("a,b\n1, 2\n", "a|b / 2:1|2"),
        ("a;b\r\n1;2,5\r\n", "a|b / 2:1|2,5"),
        ("a\tb\n1,0\t2,5\n", "a|b / 2:1,0|2,5"),
        ("a|b\n1|2\n", "a|b / 2:1|2"),
        ("sep=;\na;b\n1;2\n", "a|b / 3:1|2"),
        (
            "d;x\n01.01.2024;1,5\n02.01.2024;2,5\n",
            "d|x / 2:01.01.2024|1,5 / 3:02.01.2024|2,5",
        ),
        ("a,b\n\"x, \"\"y\"\"\",2\n", "a|b / 2:x, \"y\"|2"),
        ("a,b\n1, \"2\"\n", "a|b / 2:1|2"),
        (
            "a,b\n\"two\nlines\",2\n3,4\n",
            "a|b / 2:two\nlines|2 / 4:3|4",
        ),
        ("a,b\r1,2\r3,4\r", "a|b / 2:1|2 / 3:3|4"),
        ("a,b\n1,2\n\n  \n3,4\n", "a|b / 2:1|2 / 5:3|4"),
    ] {
        assert_eq!(shown(text), expected, "{text:?}");
    }
}

#[test]
fn what_surrounds_the_table_is_left_out_with_a_word() {
    let table = read("# a\n# b\nd,x\n2024-01-01,1\n,\n2024-01-02,2\n,\n").unwrap();
    let out: Vec<&str> = table.left_out.iter().map(|out| out.what.as_str()).collect();
    assert_eq!(out, ["2 lines at the top", "2 lines"]);
    assert_eq!(table.rows[1].line, 6);
    let table = read("My station\n\nd,x\n2024-01-01,1\n2024-01-02,2\n").unwrap();
    assert_eq!(
        (table.header.join("|"), table.rows[0].line),
        ("d|x".into(), 4)
    );
    assert_eq!(table.left_out[0].what, "1 line before the header");
}

#[test]
fn names_are_told_from_values() {
    for (text, header) in [
        ("2024-01-01,1\n2024-01-02,2\n", "column_1|column_2"),
        (
            "2024-01-01,x,1\n2024-01-02,y,2\n",
            "column_1|column_2|column_3",
        ),
        ("1704067200,1.5\n1704070800,2\n", "column_1|column_2"),
        ("0.5,1\n0.7,2\n", "column_1|column_2"),
        ("date,0,1\n2024-01-01,1,2\n", "date|0|1"),
        (",0,1\n2024-01-01,1,2\n", "|0|1"),
        ("0,1\n5,6\n", "0|1"),
        ("a,b\nx,y\n", "a|b"),
        ("x\n\"2024-01-01\",5\n\"2024-01-02\",6\n", "|x"),
        ("d,x\n2024-01-01,5,\n2024-01-02,6,\n", "d|x|"),
    ] {
        assert_eq!(read(text).unwrap().header.join("|"), header, "{text:?}");
    }
}

#[test]
fn a_cell_more_than_the_header_is_a_row_name_where_it_can_be_nothing_else() {
    for (text, header) in [
        ("x,y\n2024-01-01,5.5,6\n2024-01-02,6.5,7\n", "|x|y"),
        ("x;y\n2024-01-01;5;6\n2024-01-02;6;7\n", "|x|y"),
        (
            "date,x,y\n1,2024-01-01,5,6\n2,2024-01-02,6,7\n3,2024-01-03,6,7\n",
            "|date|x|y",
        ),
        ("year,x\n1,2010,5\n2,2011,6\n3,2012,7\n", "|year|x"),
        ("date,x\n2024-01-01,5,\n2024-01-02,6,\n", "date|x|"),
    ] {
        assert_eq!(read(text).unwrap().header.join("|"), header, "{text:?}");
    }
    for text in [
        "Datum,Verbrauch\n01.01.2020,10,0\n02.01.2020,10,2\n03.01.2020,10,5\n",
        "date,A\n2020-01-01,100,0\n2020-01-02,102,1\n",
        "Date (UTC),A\n2020-01-01,-100,0\n2020-01-02,102,1\n",
        "fecha,valor\n2020-01-01,1.100,0\n2020-01-02,102,1\n",
        "Datum,Uhr,V\n01.01.2020,00:00,10,0\n02.01.2020,00:00,10,2\n",
        "V,Datum\n10,0,01.01.2020\n10,2,02.01.2020\n10,5,03.01.2020\n",
        "year,A\n2020,10,0\n2021,10,2\n2022,10,5\n",
        "week,A\n1,10,0\n2,10,2\n3,10,5\n",
        "date,A\n2020-01-01,1.5,2.5\n2020-01-02,1.5,2.5\n",
    ] {
        let error = read(text).unwrap_err();
        for part in [
            "its rows have one cell more than the header (line 1 has",
            "decimal comma, put quotes around them or semicolons",
        ] {
            assert!(error.contains(part), "{text:?}: {error}");
        }
    }
    let error = read("date;A\n2020-01-01;1;2\n2020-01-02;1;2\n").unwrap_err();
    assert!(!error.contains("decimal comma"), "{error}");
}

#[test]
fn names_of_several_lines_are_joined() {
    let rows = "2024-01-01,1,2\n2024-01-02,3,4\n";
    for (names, header, lines) in [
        (
            "Price,Close,Close\nTicker,A,B\nDate,,\n",
            "Date|Close A|Close B",
            3,
        ),
        (",Close,Close\n,A,B\n", "|Close A|Close B", 2),
        ("date,x,x\nUTC,A,B\n", "date|x A|x B", 2),
        (",x,y\nwhen,,\n", "when|x|y", 2),
        ("Row,x,y\nDate,,\n", "Date|x|y", 2),
        ("a,x,x\nb,x,y\nc,x,x\n", "a b c|x|x y x", 3),
        // A remark, and a row of values.
        ("date,x,y\nremark,,\n", "date|x|y", 1),
        ("date,x,y\n2024-01-01,off,off\n", "date|x|y", 1),
    ] {
        let table = read(&format!("{names}{rows}")).unwrap();
        assert_eq!(
            (table.header.join("|").as_str(), table.header_lines),
            (header, lines),
            "{names}"
        );
        assert_eq!(table.rows.last().unwrap().cell(2), "4", "{names}");
    }
    // Words above numbers that are no dates may be values.
    let table = read("x,y\non,off\n1,2\n").unwrap();
    assert_eq!(
        (table.header.join("|"), table.rows.len()),
        ("x|y".into(), 2)
    );
    let table = read("year,x\na,b\n2020,2\n2021,3\n").unwrap();
    assert_eq!(
        (table.header.join("|"), table.rows.len()),
        ("year|x b".into(), 2)
    );
}

#[test]
fn commas_in_numbers_are_named_where_rows_are_longer() {
    for (text, sentence) in [
        (
            "date,A,B\n2020-01-01,1,5,2,7\n2020-01-02,1,6,2,8\n",
            "its rows have 2 cells more than the header (line 1 has 3, line 2 has 5); if numbers have a thousands or \
             decimal comma, put quotes around them or semicolons between the cells; if a column",
        ),
        (
            "date,A,B\n2020-01-01,1,2\n2020-01-02,1,6,2\n",
            "line 3 has 4 cells where the header has 3; if numbers have a thousands or decimal comma, put quotes \
             around them or semicolons between the cells; repair the line",
        ),
        (
            "date;A\n2020-01-01;1\n2020-01-02;1;6;2\n",
            "line 3 has 4 cells where the header has 2; repair the line",
        ),
        (
            "date,A\n2020-01-01,1\n2020-01-02\n",
            "line 3 has 1 cells where the header has 2; repair the line",
        ),
    ] {
        let error = read(text).unwrap_err();
        assert!(error.contains(sentence), "{text:?}: {error}");
    }
    let table = read("d,x\n2024-01-01,5,,\n2024-01-02,6,,\n").unwrap();
    assert_eq!(table.header.join("|"), "d|x||");
}

#[test]
fn damaged_tables_name_the_line() {
    let refused = |text| read(text).err().unwrap();
    assert!(refused("").contains("`f.csv` is not usable as a series: it is empty"));
    assert!(refused("a,b\n").contains("no rows"));
    assert!(refused(",\n,\n").contains("it is empty"));
    assert!(refused("a,b\n1,2\n\n3\n").contains("line 4 has 1 cells where the header has 2"));
    assert!(refused("a,b\n1,2\n3,\"4\n5,6\n").contains("line 3: a quote is never closed"));
}
