// Package v20170312 has the names that flannel's backend for one cloud compiles with; that backend is not used here, and the
// version of its SDK that flannel asks for is not served as a module everywhere.
package v20170312

import "errors"

type Client struct{}

type Filter struct {
	Name   *string
	Values []*string
}

type Route struct {
	RouteId              *uint64
	DestinationCidrBlock *string
	GatewayType          *string
	GatewayId            *string
	RouteType            *string
	Enabled              *bool
}

type RouteTable struct {
	RouteTableId *string
	RouteSet     []*Route
}

type DescribeRouteTablesRequest struct{ Filters []*Filter }

type DescribeRouteTablesResponse struct {
	Response struct{ RouteTableSet []*RouteTable }
}

type RoutesRequest struct {
	RouteTableId *string
	Routes       []*Route
}

var errStub = errors.New("not built with the SDK of this cloud")

func NewClientWithSecretId(_, _, _ string) (*Client, error) { return &Client{}, errStub }

func NewDescribeRouteTablesRequest() *DescribeRouteTablesRequest { return &DescribeRouteTablesRequest{} }

func NewDeleteRoutesRequest() *RoutesRequest { return &RoutesRequest{} }

func NewCreateRoutesRequest() *RoutesRequest { return &RoutesRequest{} }

func (*Client) DescribeRouteTables(*DescribeRouteTablesRequest) (*DescribeRouteTablesResponse, error) {
	return nil, errStub
}

func (*Client) DeleteRoutes(*RoutesRequest) (any, error) { return nil, errStub }

func (*Client) CreateRoutes(*RoutesRequest) (any, error) { return nil, errStub }
