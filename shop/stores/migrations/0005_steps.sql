-- What workflows have done (decision 73). Without any, nothing is ever written here.
create table steps (
    workflow text not null,
    step text not null,
    result text not null,
    primary key (workflow, step)
) strict, without rowid;
