//! The functions and operators, with their signatures.
//!
//! A line is `name(parameters)result`, `target.name(parameters)result` for methods; `A` and `B` stand for any type. The
//! names of operators are those that the parser gives them.

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::types::{Kind, Type};

const SIGNATURES: &str = "
!_(bool)bool
-_(int)int
-_(double)double
@not_strictly_false(bool)bool
_&&_(bool,bool)bool
_||_(bool,bool)bool
_?_:_(bool,A,A)A
_==_(A,A)bool
_!=_(A,A)bool
cel.@mapInsert(map<A;B>,A,B)map<A;B>
cel.@mapInsert(map<A;B>,map<A;B>)map<A;B>
_+_(int,int)int
_+_(uint,uint)uint
_+_(double,double)double
_+_(string,string)string
_+_(bytes,bytes)bytes
_+_(list<A>,list<A>)list<A>
_+_(timestamp,duration)timestamp
_+_(duration,timestamp)timestamp
_+_(duration,duration)duration
_-_(int,int)int
_-_(uint,uint)uint
_-_(double,double)double
_-_(timestamp,timestamp)duration
_-_(timestamp,duration)timestamp
_-_(duration,duration)duration
_*_(int,int)int
_*_(uint,uint)uint
_*_(double,double)double
_/_(int,int)int
_/_(uint,uint)uint
_/_(double,double)double
_%_(int,int)int
_%_(uint,uint)uint
@in(A,list<A>)bool
@in(A,map<A;B>)bool
_[_](list<A>,int)A
_[_](map<A;B>,A)B
_[_](optional<list<A>>,int)optional<A>
_[_](optional<map<A;B>>,A)optional<B>
_[?_](list<A>,int)optional<A>
_[?_](map<A;B>,A)optional<B>
_[?_](optional<list<A>>,int)optional<A>
_[?_](optional<map<A;B>>,A)optional<B>
size(string)int
size(bytes)int
size(list<A>)int
size(map<A;B>)int
string.size()int
bytes.size()int
list<A>.size()int
map<A;B>.size()int
type(A)type
dyn(A)dyn
int(int)int
int(uint)int
int(double)int
int(string)int
int(timestamp)int
uint(int)uint
uint(uint)uint
uint(double)uint
uint(string)uint
double(int)double
double(uint)double
double(double)double
double(string)double
bool(bool)bool
bool(string)bool
string(string)string
string(bool)string
string(int)string
string(uint)string
string(double)string
string(bytes)string
string(timestamp)string
string(duration)string
bytes(bytes)bytes
bytes(string)bytes
timestamp(timestamp)timestamp
timestamp(string)timestamp
timestamp(int)timestamp
duration(duration)duration
duration(string)duration
duration(int)duration
matches(string,string)bool
string.matches(string)bool
string.contains(string)bool
string.startsWith(string)bool
string.endsWith(string)bool
string.charAt(int)string
string.indexOf(string)int
string.indexOf(string,int)int
string.lastIndexOf(string)int
string.lastIndexOf(string,int)int
string.lowerAscii()string
string.upperAscii()string
string.replace(string,string)string
string.replace(string,string,int)string
string.split(string)list<string>
string.split(string,int)list<string>
string.substring(int)string
string.substring(int,int)string
string.trim()string
string.find(string)string
string.findAll(string)list<string>
string.findAll(string,int)list<string>
list<string>.join()string
list<string>.join(string)string
list<A>.isSorted()bool
list<int>.sum()int
list<uint>.sum()uint
list<double>.sum()double
list<duration>.sum()duration
list<A>.min()A
list<A>.max()A
list<A>.indexOf(A)int
list<A>.lastIndexOf(A)int
list<A>.distinct()list<A>
list<A>.reverse()list<A>
list<A>.sort()list<A>
list<A>.slice(int,int)list<A>
list<list<A>>.flatten()list<A>
list<dyn>.flatten()list<dyn>
list<dyn>.flatten(int)list<dyn>
list<A>.first()optional<A>
list<A>.last()optional<A>
list<A>.@sortByAssociatedKeys(list<B>)list<A>
lists.range(int)list<int>
sets.contains(list<A>,list<A>)bool
sets.equivalent(list<A>,list<A>)bool
sets.intersects(list<A>,list<A>)bool
optional.of(A)optional<A>
optional.ofNonZeroValue(A)optional<A>
optional.none()optional<A>
optional.unwrap(list<optional<A>>)list<A>
list<optional<A>>.unwrapOpt()list<A>
optional<A>.hasValue()bool
optional<A>.value()A
optional<A>.or(optional<A>)optional<A>
optional<A>.orValue(A)A
timestamp.getFullYear()int
timestamp.getFullYear(string)int
timestamp.getMonth()int
timestamp.getMonth(string)int
timestamp.getDate()int
timestamp.getDate(string)int
timestamp.getDayOfMonth()int
timestamp.getDayOfMonth(string)int
timestamp.getDayOfWeek()int
timestamp.getDayOfWeek(string)int
timestamp.getDayOfYear()int
timestamp.getDayOfYear(string)int
timestamp.getHours()int
timestamp.getHours(string)int
timestamp.getMinutes()int
timestamp.getMinutes(string)int
timestamp.getSeconds()int
timestamp.getSeconds(string)int
timestamp.getMilliseconds()int
timestamp.getMilliseconds(string)int
duration.getHours()int
duration.getMinutes()int
duration.getSeconds()int
duration.getMilliseconds()int
url(string)kubernetes.URL
isURL(string)bool
kubernetes.URL.getScheme()string
kubernetes.URL.getHost()string
kubernetes.URL.getHostname()string
kubernetes.URL.getPort()string
kubernetes.URL.getEscapedPath()string
kubernetes.URL.getQuery()map<string;list<string>>
ip(string)net.IP
isIP(string)bool
ip.isCanonical(string)bool
string(net.IP)string
net.IP.family()int
net.IP.isUnspecified()bool
net.IP.isLoopback()bool
net.IP.isLinkLocalMulticast()bool
net.IP.isLinkLocalUnicast()bool
net.IP.isGlobalUnicast()bool
cidr(string)net.CIDR
isCIDR(string)bool
string(net.CIDR)string
net.CIDR.containsIP(net.IP)bool
net.CIDR.containsIP(string)bool
net.CIDR.containsCIDR(net.CIDR)bool
net.CIDR.containsCIDR(string)bool
net.CIDR.ip()net.IP
net.CIDR.masked()net.CIDR
net.CIDR.prefixLength()int
quantity(string)kubernetes.Quantity
isQuantity(string)bool
kubernetes.Quantity.sign()int
kubernetes.Quantity.isInteger()bool
kubernetes.Quantity.asInteger()int
kubernetes.Quantity.asApproximateFloat()double
kubernetes.Quantity.isGreaterThan(kubernetes.Quantity)bool
kubernetes.Quantity.isLessThan(kubernetes.Quantity)bool
kubernetes.Quantity.compareTo(kubernetes.Quantity)int
kubernetes.Quantity.add(kubernetes.Quantity)kubernetes.Quantity
kubernetes.Quantity.add(int)kubernetes.Quantity
kubernetes.Quantity.sub(kubernetes.Quantity)kubernetes.Quantity
kubernetes.Quantity.sub(int)kubernetes.Quantity
semver(string)kubernetes.Semver
semver(string,bool)kubernetes.Semver
isSemver(string)bool
isSemver(string,bool)bool
kubernetes.Semver.major()int
kubernetes.Semver.minor()int
kubernetes.Semver.patch()int
kubernetes.Semver.isLessThan(kubernetes.Semver)bool
kubernetes.Semver.isGreaterThan(kubernetes.Semver)bool
kubernetes.Semver.compareTo(kubernetes.Semver)int
format.named(string)optional<kubernetes.NamedFormat>
kubernetes.NamedFormat.validate(string)optional<list<string>>
string.format(list<dyn>)string
authz.Authorizer.path(string)authz.PathCheck
authz.Authorizer.group(string)authz.GroupCheck
authz.Authorizer.serviceAccount(string,string)authz.Authorizer
authz.PathCheck.check(string)authz.Decision
authz.GroupCheck.resource(string)authz.ResourceCheck
authz.ResourceCheck.subresource(string)authz.ResourceCheck
authz.ResourceCheck.namespace(string)authz.ResourceCheck
authz.ResourceCheck.name(string)authz.ResourceCheck
authz.ResourceCheck.fieldSelector(string)authz.ResourceCheck
authz.ResourceCheck.labelSelector(string)authz.ResourceCheck
authz.ResourceCheck.check(string)authz.Decision
authz.Decision.allowed()bool
authz.Decision.reason()string
authz.Decision.errored()bool
authz.Decision.error()string
strings.quote(string)string
jsonpatch.escapeKey(string)string
";

/// The named formats, each also a function of its own (`format.dns1123Label()`).
pub const FORMATS: [&str; 13] = [
    "byte",
    "date",
    "datetime",
    "dns1035Label",
    "dns1035LabelPrefix",
    "dns1123Label",
    "dns1123LabelPrefix",
    "dns1123Subdomain",
    "dns1123SubdomainPrefix",
    "labelValue",
    "qualifiedName",
    "uri",
    "uuid",
];

/// What comparisons there are: of one type, and of numbers of different types.
const COMPARABLE: [(&str, &str); 14] = [
    ("bool", "bool"),
    ("int", "int"),
    ("uint", "uint"),
    ("double", "double"),
    ("string", "string"),
    ("bytes", "bytes"),
    ("timestamp", "timestamp"),
    ("duration", "duration"),
    ("int", "uint"),
    ("int", "double"),
    ("uint", "int"),
    ("uint", "double"),
    ("double", "int"),
    ("double", "uint"),
];

/// One signature.
#[derive(Clone, Debug)]
pub struct Overload {
    /// The target of a method first.
    pub params: Vec<Type>,
    /// What it gives.
    pub result: Type,
}

/// Functions by name and whether they are methods.
pub type Table = HashMap<(String, bool), Vec<Overload>>;

/// All functions.
pub static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let mut table = Table::new();
    let mut add = |line: &str| {
        let Some((head, rest)) = line.split_once('(') else { return };
        let Some((params, result)) = rest.rsplit_once(')') else { return };
        let mut params: Vec<Type> = params.split(',').filter(|p| !p.is_empty()).map(type_of).collect();
        // A dot before the name is a method's, unless what is before it is no type but a namespace.
        let method = head.rsplit_once('.').filter(|(target, _)| {
            !matches!(*target, "optional" | "sets" | "lists" | "format" | "ip" | "strings" | "jsonpatch" | "cel")
        });
        let name = match method {
            Some((target, name)) => {
                params.insert(0, type_of(target));
                name
            }
            None => head,
        };
        let overload = Overload { params, result: type_of(result) };
        table.entry((name.to_owned(), method.is_some())).or_default().push(overload);
    };
    SIGNATURES.lines().for_each(&mut add);
    for (a, b) in COMPARABLE {
        for operator in ["_<_", "_<=_", "_>_", "_>=_"] {
            add(&format!("{operator}({a},{b})bool"));
        }
    }
    for format in FORMATS {
        add(&format!("format.{format}()kubernetes.NamedFormat"));
    }
    table
});

fn type_of(text: &str) -> Type {
    let inner = |prefix: &str| text.strip_prefix(prefix).and_then(|rest| rest.strip_suffix('>'));
    if let Some(items) = inner("list<") {
        return Type::list(type_of(items));
    }
    if let Some(of) = inner("optional<") {
        return Type::optional(type_of(of));
    }
    if let Some((keys, values)) = inner("map<").and_then(|both| both.split_once(';')) {
        return Type::map(type_of(keys), type_of(values));
    }
    let kind = match text {
        "A" => Kind::Param('A'),
        "B" => Kind::Param('B'),
        "bool" => Kind::Bool,
        "int" => Kind::Int,
        "uint" => Kind::Uint,
        "double" => Kind::Double,
        "string" => Kind::String,
        "bytes" => Kind::Bytes,
        "timestamp" => Kind::Timestamp,
        "duration" => Kind::Duration,
        "type" => Kind::Type,
        "kubernetes.URL" => Kind::Opaque("kubernetes.URL"),
        "kubernetes.Quantity" => Kind::Opaque("kubernetes.Quantity"),
        "kubernetes.Semver" => Kind::Opaque("kubernetes.Semver"),
        "kubernetes.NamedFormat" => Kind::Opaque("kubernetes.NamedFormat"),
        "authz.Authorizer" => Kind::Opaque("kubernetes.authorization.Authorizer"),
        "authz.PathCheck" => Kind::Opaque("kubernetes.authorization.PathCheck"),
        "authz.GroupCheck" => Kind::Opaque("kubernetes.authorization.GroupCheck"),
        "authz.ResourceCheck" => Kind::Opaque("kubernetes.authorization.ResourceCheck"),
        "authz.Decision" => Kind::Opaque("kubernetes.authorization.Decision"),
        "net.IP" => Kind::Opaque("net.IP"),
        "net.CIDR" => Kind::Opaque("net.CIDR"),
        _ => Kind::Dyn,
    };
    kind.into()
}
