# Writes the tables that the tests beside it hold our figures against: python3 reference.py . (needs scipy).
import sys, scipy
from scipy import stats
out = sys.argv[1]
def f(x): return repr(float(x))
def write(name, text): open(f"{out}/{name}_reference.rs", "w").write(text)
head = f"// scipy {scipy.__version__}, by reference.py.\n"
t = head + "const REFERENCE: [(f64, f64, f64, f64); %d] = [\n"
rows = []
for a, b in [(0.5,0.5),(1,1),(2,5),(7,1),(30,70),(1,8000),(500,4500),(7999,2),(62.5,937.5),(4000,4000)]:
    for p in (0.0005, 0.05, 0.5, 0.9995):
        x = stats.beta.ppf(p, a, b)
        rows.append(f"    ({f(x)}, {f(a)}, {f(b)}, {f(stats.beta.cdf(x,a,b))}),\n")
write("beta", (t % len(rows)) + "".join(rows) + "];\n")
rows = []
for a, b in [(7,0),(6,1),(5,2),(0,8),(8,1),(9,1),(12,0),(10,2),(11,1),(15,5),(14,6),(3,3),(1,0),(30,10)]:
    rows.append(f"    ({a}, {b}, {f(stats.binomtest(a, a+b, .5).pvalue)}),\n")
write("sign", head + f"const REFERENCE: [(usize, usize, f64); {len(rows)}] = [\n" + "".join(rows) + "];\n")
rows = []
for k, n in [(0,1000),(1000,1000),(66,1060),(1,1060),(1059,1060),(152,1060),(3,7),(0,3),(15,30),(30,30),(4200,8412),(5_000_000,10_000_000),(9_999_997,10_000_000),(123_456,10_000_000)]:
    for level in (0.95, 0.999):
        test = stats.binomtest(k, n)
        e, w = (test.proportion_ci(level, m) for m in ("exact", "wilson"))
        z = stats.norm.ppf(0.5 + level / 2)
        rows.append(f"    [{f(k)}, {f(n)}, {level}, {f(e.low)}, {f(e.high)}, {f(w.low)}, {f(w.high)}, {f(z)}],\n")
write("share", head + f"const REFERENCE: [[f64; 8]; {len(rows)}] = [\n" + "".join(rows) + "];\n")
def holm(ps):  # R's p.adjust(ps, "holm"), by its definition: cummax((m - i + 1) * p[o])
    order = sorted(range(len(ps)), key=lambda i: ps[i]); m = len(ps); most = 0; adjusted = [0]*m
    for i, o in enumerate(order):
        most = max(most, min(1, (m - i) * ps[o])); adjusted[o] = most
    return adjusted
rows = []
for ps in ([0.01,0.02,0.03,0.04,0.05],[0.0001,0.0004,0.0019,0.0095,0.0201,0.0278,0.0298,0.0344,0.0459,0.3240,0.4262,0.5719,0.6528,0.7590,1.0],
           [0.9,0.001,0.04,0.04,0.2],[0.015625]*3+[0.125,0.453125],[0.5]):
    b = stats.false_discovery_control(ps)
    g = lambda xs: "&[" + ", ".join(f(x) for x in xs) + "]"
    rows.append(f"    ({g(ps)}, {g(b)}, {g(holm(ps))}),\n")
write("family", head + f"const REFERENCE: &[(&[f64], &[f64], &[f64])] = &[\n" + "".join(rows) + "];\n")
